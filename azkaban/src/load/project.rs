//! Which loader reads a project: Flow 2.0 when a `.project` file says so, in the top folder or, searched in depth, below.

use super::Problem;
use super::files::{File, Folder};
use crate::yaml::{self, Value, Yaml};

/// Whether the project is Flow 2.0; the error ends the upload.
pub(crate) fn is_flow2(folder: &Folder<'_>) -> Result<bool, Problem> {
    let files: Vec<File<'_>> = folder.with_suffix(".project").collect();
    match files.as_slice() {
        [] => {
            for folder in folder.folders.values() {
                if is_flow2(folder)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        [file] => says_flow2(*file).map(|()| true),
        [file, ..] => Err(problem(
            "Duplicate project YAML files found in the project directory. Only one is allowed.".to_owned(),
            *file,
        )),
    }
}

fn problem(message: String, file: File<'_>) -> Problem {
    Problem {
        message,
        path: Some(file.path.to_owned()),
        flow: None,
    }
}

fn says_flow2(file: File<'_>) -> Result<(), Problem> {
    let fail = |message: &str| Err(problem(message.to_owned(), file));
    let root = yaml::read(file.content).map_err(|error| problem(error.message, file))?;
    let unspecified = "azkaban-flow-version is not specified in the project YAML file.";
    let Some(root) = root.filter(|root| !root.is_null()) else {
        return fail(unspecified);
    };
    let Value::Map(pairs) = &root.value else {
        let class = if matches!(root.value, Value::List(_)) {
            "java.util.ArrayList"
        } else {
            "java.lang.String"
        };
        return fail(&format!(
            "class {class} cannot be cast to class java.util.Map ({class} and java.util.Map are in module \
             java.base of loader 'bootstrap')"
        ));
    };
    match pairs
        .iter()
        .rev()
        .find(|(key, _)| key.text() == Some("azkaban-flow-version"))
    {
        None => fail(unspecified),
        Some((_, value)) if value.is_null() => fail(
            "Cannot invoke \"Object.equals(Object)\" because the return value of \"java.util.Map.get(Object)\" is \
             null",
        ),
        Some((_, value)) if is_two(value) => Ok(()),
        Some(_) => fail("Invalid azkaban-flow-version in the project YAML file."),
    }
}

/// The number 2.0 as YAML 1.1 writes floats: `2.0`, `2.`, `+2.00`, `20e-1`; not `2`, which is an integer.
fn is_two(yaml: &Yaml) -> bool {
    let Value::Scalar { text, plain } = &yaml.value else {
        return false;
    };
    let is_float = match yaml.tag.as_deref() {
        None => *plain && text.contains(['.', 'e', 'E']),
        Some(tag) => tag == "tag:yaml.org,2002:float",
    };
    is_float
        && text
            .replace('_', "")
            .parse::<f64>()
            .is_ok_and(|number| number == 2.0)
}

//! Properties that are computed: `${...}` and `$(...)`.

use crate::support::azkaban::Azkaban;
use crate::support::running::statuses;
use crate::support::zips::zip;

#[tokio::test]
async fn expressions_are_computed_before_the_job_runs() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let values = [
        ("$(1 + 2)", "3"),
        ("$(${n} * 7)", "42"),
        ("$(7 / 2) $(7.0 / 2) $(7 % 2)", "3 3.5 1"),
        ("$(1 / 0)", "0.0"),
        ("$('${word}' == 'new' ? 'yes' : 'no')", "yes"),
        ("$(${n} > 10 || '${word}' == 'old')", "false"),
        ("$('a' + 1 + 2)", "a12"),
        ("$('1' + '2')", "3"),
        ("$(2 * $(1 + ${n}))", "14"),
        ("$(0.1 + 0.2)", "0.30000000000000004"),
        ("$(10000000.0 * 1)", "1.0E7"),
        ("$(not true ?: 'else')", "else"),
        ("$(7 & 3 | 8)", "11"),
        ("$(nobody + 'x')", "x"),
        ("$(nobody)", "$(nobody)"),
        ("$5 $x (y)", "$5 $x (y)"),
    ];
    let mut job = "type=command\nn=6\nword=new\ncommand=echo begin\n".to_owned();
    for (at, (value, _)) in (1..).zip(values) {
        job += &format!("v{at}={value}\ncommand.{at}=echo {at}: ${{v{at}}}\n");
    }
    project.install(&zip(&[("f.job", &job)])).await;
    let (id, tree) = project.executed("f", &[]).await;
    assert_eq!(tree["status"], "SUCCEEDED");
    let log = azkaban.log(id, Some("f")).await;
    for (at, (value, expected)) in (1..).zip(values) {
        let line = format!("INFO - {at}: {expected}\n");
        assert!(log.contains(&line), "{value}: {log}");
    }
    project.delete().await;
}

#[tokio::test]
async fn what_cannot_be_computed_fails_the_job() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    for (value, error) in [
        ("x $(1 +) y", "Expression x $(1 +) y not well formed. "),
        ("$(1", "Expression $(1 not well formed.\n"),
        ("$(1 < 2 < 3)", "Expression $(1 < 2 < 3) not well formed. "),
        ("$(-true + 1)", "Expression $(-true + 1) not well formed. "),
        (
            "$(3 - n)$(3 * x1 2)",
            "Expression $(3 - n)$(3 * x1 2) not well formed. ",
        ),
    ] {
        project
            .install(&zip(&[("f.job", &format!("type=noop\nvalue={value}\n"))]))
            .await;
        let (id, tree) = project.executed("f", &[]).await;
        assert_eq!(statuses(&tree), ["f FAILED"]);
        let log = azkaban.log(id, Some("f")).await.replace("&lt;", "<");
        let line = format!("ERROR - Failed to build job executor for job f{error}");
        assert!(log.contains(&line), "{value}: {log}");
        assert!(
            log.contains("ERROR - Job run failed preparing the job.\n"),
            "{log}"
        );
    }
    project.delete().await;
}

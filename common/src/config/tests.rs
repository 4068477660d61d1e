//! The layers, with an environment and a settings file made up for each test.

use super::*;

fn load(
    args: &SettingsArgs,
    environment: &[(&str, &str)],
    toml: Option<&str>,
) -> Result<Settings, SettingsError> {
    let folder = std::env::temp_dir().join(format!("flowlift-settings-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("flowlift.toml");
    if let Some(text) = toml {
        std::fs::write(&path, text).unwrap();
    }
    let lookup = |name: &str| {
        environment
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let loaded = Settings::layered(args, &lookup, &[path]);
    std::fs::remove_dir_all(&folder).unwrap();
    loaded
}

fn origin(settings: &Settings, name: &str) -> String {
    let row = settings.origins().iter().find(|row| row.name == name).unwrap();
    match &row.origin {
        Origin::File { target, .. } => format!("file {target:?}"),
        other => other.to_string(),
    }
}

const FILE: &str = r#"
azkaban_url = "http://file:8081/"
user = "everybody"
[target.night]
azkaban_url = "http://Night:8081"
password_file = "secret.txt"
protected = true
"#;

#[test]
fn nothing_said_means_the_defaults() {
    let settings = load(&SettingsArgs::default(), &[], None).unwrap();
    assert_eq!(settings.amqp_url(), DEFAULT_AMQP_URL);
    assert_eq!(
        (settings.azkaban_url.as_str(), settings.azkaban_given),
        (DEFAULT_AZKABAN_URL, false)
    );
    assert_eq!(settings.told_azkaban(), None);
    assert!(matches!(settings.password(), Err(SettingsError::NoPassword)));
}

#[test]
fn a_flag_goes_before_the_target_and_the_target_before_the_rest_of_the_file() {
    let args = SettingsArgs {
        azkaban_user: Some("flag".into()),
        target: Some("night".into()),
        ..Default::default()
    };
    let settings = load(&args, &[], Some(FILE)).unwrap();
    assert_eq!(settings.azkaban_url, "http://night:8081");
    assert_eq!(settings.told_azkaban(), Some("http://night:8081"));
    assert_eq!(settings.azkaban_user, "flag");
    assert!(settings.protected);
    assert_eq!(origin(&settings, "azkaban_url"), "file Some(\"night\")");
    assert_eq!(origin(&settings, "user"), "--azkaban-user");
    assert_eq!(origin(&settings, "shards"), "default");
}

#[test]
fn what_equals_the_environment_is_said_to_come_from_there() {
    let args = SettingsArgs {
        shards: Some(8),
        ..Default::default()
    };
    let settings = load(&args, &[("FLOWLIFT_SHARDS", "8")], None).unwrap();
    assert_eq!(origin(&settings, "shards"), "environment FLOWLIFT_SHARDS");
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let args = SettingsArgs {
        azkaban_url: Some(String::new()),
        ..Default::default()
    };
    assert!(
        !load(&args, &[("FLOWLIFT_AZKABAN_URL", "")], None)
            .unwrap()
            .azkaban_given
    );
}

#[test]
fn traces_are_off_until_somebody_sets_an_address() {
    let settings = load(
        &SettingsArgs::default(),
        &[("OTEL_TRACES_EXPORTER", "otlp")],
        None,
    )
    .unwrap();
    assert_eq!(settings.traces, None);
    assert!(settings.origins().iter().all(|row| row.name != "traces"));
    let empty = SettingsArgs {
        traces: Some(String::new()),
        ..Default::default()
    };
    assert_eq!(load(&empty, &[], Some("traces = \"\"")).unwrap().traces, None);
}

#[test]
fn a_program_without_traces_says_so_and_one_with_them_takes_the_address() {
    let origin = Origin::Environment("FLOWLIFT_TRACES");
    assert_eq!(
        check::traces("http://Collector:4318/", &origin, true).unwrap(),
        "http://collector:4318"
    );
    assert_eq!(
        check::traces("http://collector:4318", &origin, false)
            .unwrap_err()
            .to_string(),
        "traces are set by environment FLOWLIFT_TRACES, but this program was built without them: the released programs and the image have them, an own build needs `--features traces`"
    );
    let secret = check::traces("http://me:s3cret@collector", &origin, true).unwrap_err();
    let secret = secret.to_string();
    assert!(
        secret.contains("OTEL_EXPORTER_OTLP_HEADERS") && !secret.contains("s3cret"),
        "{secret}"
    );
    assert_eq!(
        check::traces("collector:4318", &Origin::Flag("--traces"), true)
            .unwrap_err()
            .to_string(),
        "traces from --traces is \"collector:4318\", expected http(s)://host:port of an OpenTelemetry collector (credentials go into OTEL_EXPORTER_OTLP_HEADERS): it does not begin with http:// or https://"
    );
}

#[test]
fn the_address_for_traces_can_stand_in_the_file_and_for_a_target() {
    let file = "traces = \"http://all:4318\"\n[target.night]\ntraces = \"http://night:4318\"\n";
    for (target, url) in [(None, "http://all:4318"), (Some("night"), "http://night:4318")] {
        let args = SettingsArgs {
            target: target.map(str::to_owned),
            ..Default::default()
        };
        let loaded = load(&args, &[], Some(file));
        if trace::BUILT {
            assert_eq!(loaded.unwrap().traces.as_deref(), Some(url));
        } else {
            assert!(matches!(loaded, Err(SettingsError::TracesNotBuilt { .. })));
        }
    }
}

#[test]
fn no_secret_is_shown() {
    let args = SettingsArgs {
        amqp_url: Some("amqp://me:s3cret@rabbit:5672/%2f".into()),
        ..Default::default()
    };
    let settings = load(&args, &[(PASSWORD_VARIABLE, "s3cret")], None).unwrap();
    let shown = format!("{settings:?} {:?}", settings.origins());
    assert!(!shown.contains("s3cret"), "{shown}");
    assert_eq!(settings.password().unwrap().expose_secret(), "s3cret");
}

#[test]
fn a_mistake_in_the_file_is_told_with_its_line_and_without_the_lines_text() {
    let error = load(
        &SettingsArgs::default(),
        &[],
        Some("\namqp = \"amqp://me:s3cret@x\"\n"),
    )
    .unwrap_err()
    .to_string();
    assert!(error.contains("flowlift.toml:2: unknown field `amqp`"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

#[test]
fn an_unknown_target_is_told_with_the_known_ones() {
    let args = SettingsArgs {
        target: Some("nihgt".into()),
        ..Default::default()
    };
    let error = load(&args, &[], Some(FILE)).unwrap_err().to_string();
    assert!(
        error.starts_with("there is no target \"nihgt\": ") && error.ends_with("has night"),
        "{error}"
    );
}

#[test]
fn a_bad_address_is_told_with_its_origin() {
    let args = SettingsArgs {
        azkaban_url: Some("night:8081".into()),
        ..Default::default()
    };
    assert_eq!(
        load(&args, &[], None).unwrap_err().to_string(),
        "azkaban_url from --azkaban-url is \"night:8081\", expected http(s)://host:port[/path]: it does not begin with http:// or https://"
    );
}

#[test]
fn a_password_file_of_a_settings_file_lies_beside_it_and_its_first_line_counts() {
    let folder = std::env::temp_dir().join(format!("flowlift-settings-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("secret.txt"), "first\nsecond\n").unwrap();
    std::fs::write(folder.join("f.toml"), "password_file = \"secret.txt\"\n").unwrap();
    let args = SettingsArgs {
        config: Some(folder.join("f.toml")),
        ..Default::default()
    };
    let settings = Settings::layered(&args, &|_| None, &[]).unwrap();
    assert_eq!(settings.password().unwrap().expose_secret(), "first");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_is_kept_of_outcomes_is_set_like_everything_else() {
    let settings = load(&SettingsArgs::default(), &[], None).unwrap();
    assert_eq!(settings.retention, Retention::default());
    let toml = "outcomes_bytes = \"2GB\"\n[target.t]\noutcomes_age = \"12h\"\n";
    let args = SettingsArgs {
        target: Some("t".into()),
        ..Default::default()
    };
    let settings = load(&args, &[], Some(toml)).unwrap();
    let wanted = Retention {
        outcomes_age: "12h".into(),
        outcomes_bytes: 2_000_000_000,
        told: true,
    };
    assert_eq!(settings.retention, wanted);
    assert_eq!(origin(&settings, "outcomes_age"), "file Some(\"t\")");
    let shown = settings
        .origins()
        .iter()
        .find(|row| row.name == "outcomes_bytes")
        .unwrap();
    assert_eq!(shown.value, "2GB");
    for (age, bytes) in [
        ("30", "1GB"),
        ("0D", "1GB"),
        ("1w", "1GB"),
        ("1D", "1GiB"),
        ("1D", "10MB"),
        ("1D", "-1"),
    ] {
        let args = SettingsArgs {
            outcomes_age: Some(age.into()),
            outcomes_bytes: Some(bytes.into()),
            ..Default::default()
        };
        assert!(load(&args, &[], None).is_err(), "{age} {bytes}");
    }
}

#[test]
fn the_password_for_rabbitmq_may_come_from_elsewhere() {
    let folder = std::env::temp_dir().join(format!("flowlift-settings-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("amqp-password"), "fr@m systemd\n").unwrap();
    std::fs::write(folder.join("amqp-url"), "amqp://me@rabbit/%2f\n").unwrap();
    let lookup = |name: &str| match name {
        "CREDENTIALS_DIRECTORY" => Some(folder.display().to_string()),
        _ => None,
    };
    let settings = Settings::layered(&SettingsArgs::default(), &lookup, &[]).unwrap();
    assert_eq!(settings.amqp_url(), "amqp://me:fr%40m%20systemd@rabbit/%2f");
    assert_eq!(
        origin(&settings, "amqp_password"),
        "systemd credential amqp-password"
    );
    assert_eq!(origin(&settings, "amqp_url"), "systemd credential amqp-url");
    let shown = format!("{settings:?} {:?}", settings.origins());
    assert!(!shown.contains("systemd\"") && !shown.contains("fr@m"), "{shown}");

    // whatever is said nearer to the person goes before
    let args = SettingsArgs {
        amqp_url: Some("amqp://me:own@rabbit/%2f".into()),
        ..Default::default()
    };
    let settings = Settings::layered(&args, &lookup, &[]).unwrap();
    assert_eq!(settings.amqp_url(), "amqp://me:own@rabbit/%2f");
    let args = SettingsArgs {
        amqp_password_file: Some(folder.join("gone")),
        ..Default::default()
    };
    let error = Settings::layered(&args, &lookup, &[]).unwrap_err().to_string();
    assert!(
        error.starts_with("password file ") && error.contains("gone cannot be read"),
        "{error}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn files_for_tls_lie_beside_the_settings_file_that_names_them() {
    let toml =
        "amqp_url = \"amqps://me@a,b\"\namqp_ca_file = \"ca.pem\"\nazkaban_ca_file = \"/etc/ca.pem\"\n";
    let settings = load(
        &SettingsArgs::default(),
        &[("FLOWLIFT_AMQP_PASSWORD", "s3cret")],
        Some(toml),
    )
    .unwrap();
    assert!(
        settings
            .amqp_url()
            .starts_with("amqps://me:s3cret@a,b?cacertfile=%2F"),
        "{}",
        settings.amqp_url()
    );
    assert!(settings.amqp_url().ends_with("%2Fca%2Epem"));
    assert_eq!(
        settings.azkaban_ca_file.as_deref(),
        Some(std::path::Path::new("/etc/ca.pem"))
    );
    assert_eq!(
        origin(&settings, "amqp_password"),
        "environment FLOWLIFT_AMQP_PASSWORD"
    );
}

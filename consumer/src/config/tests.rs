use super::*;
use clap::CommandFactory as _;

fn check(arguments: &[&str]) -> Result<Config, ConfigError> {
    let shared = [
        "flowlift-consumer",
        "--amqp-url",
        "amqp://me:s3cret@rabbit/night",
        "--config",
        "/dev/null",
    ];
    Config::check(Cli::try_parse_from(shared.iter().chain(arguments)).unwrap())
}

fn refusal(arguments: &[&str]) -> (u8, String) {
    let error = check(arguments).unwrap_err();
    (error.exit_code(), error.to_string())
}

#[test]
fn without_a_word_everything_has_a_default() {
    let config = check(&[]).unwrap();
    assert_eq!((config.name, config.azkaban_connections), (None, None));
    assert_eq!(
        (config.metrics_listen, config.grace),
        (Listen::FirstFree, Duration::from_secs(60))
    );
    assert!(names::check(&format!("{}-1", config.host)).is_ok());
}

#[test]
fn what_is_said_is_taken() {
    let config = check(&[
        "--name",
        "night-1",
        "--metrics-listen",
        "[::]:9500",
        "--grace",
        "1m 30s",
        "--azkaban-connections",
        "4",
        "--metrics-projects",
        "20",
        "--log",
        "json",
    ])
    .unwrap();
    assert_eq!(config.name.as_deref(), Some("night-1"));
    assert_eq!(config.metrics_listen, Listen::At("[::]:9500".into()));
    assert_eq!(config.metrics_projects, 20);
    assert_eq!(
        (config.grace, config.azkaban_connections),
        (Duration::from_secs(90), Some(4))
    );
}

#[test]
fn an_empty_value_counts_as_not_said() {
    let empty = [
        "--name",
        "",
        "--metrics-listen",
        "",
        "--grace",
        " ",
        "--azkaban-connections",
        "",
        "--log",
        "",
    ];
    let config = check(&empty).unwrap();
    assert_eq!((config.name, config.grace), (None, Duration::from_secs(60)));
}

#[test]
fn a_bad_value_is_one_sentence_and_exit_code_64() {
    for (arguments, sentence) in [
        (
            ["--grace", "60"],
            "--grace is \"60\", expected a time from 0s to 24h, like 60s or 2m",
        ),
        (
            ["--grace", "25h"],
            "--grace is \"25h\", expected a time from 0s to 24h, like 60s or 2m",
        ),
        (
            ["--metrics-listen", "9464"],
            "--metrics-listen is \"9464\", expected host:port, like 127.0.0.1:9464 or [::]:9464",
        ),
        (
            ["--metrics-listen", "localhost:99999"],
            "--metrics-listen is \"localhost:99999\", expected host:port, like 127.0.0.1:9464 or [::]:9464",
        ),
        (
            ["--azkaban-connections", "0"],
            "--azkaban-connections is \"0\", expected a number from 1 to 1000",
        ),
        (
            ["--metrics-projects", "100000"],
            "--metrics-projects is \"100000\", expected a number from 0 to 1000",
        ),
        (["--log", "loud"], "--log is \"loud\", expected human or json"),
        (
            ["--name", "a\tb"],
            "\"a\\tb\" cannot be a consumer's name: it contains a control character",
        ),
    ] {
        assert_eq!(refusal(&arguments), (64, sentence.to_owned()));
    }
}

#[test]
fn a_negative_time_is_refused() {
    assert_eq!(refusal(&["--grace=-5s"]).0, 64);
}

#[test]
fn an_unknown_flag_ends_with_64_and_help_with_0() {
    assert_eq!(Cli::read(["flowlift-consumer", "--nmae", "x"]).unwrap_err(), 64);
    assert_eq!(Cli::read(["flowlift-consumer", "--help"]).unwrap_err(), 0);
    assert_eq!(Cli::read(["flowlift-consumer", "--version"]).unwrap_err(), 0);
}

#[test]
fn a_mistake_in_the_shared_settings_ends_with_78_and_hides_the_password() {
    let cli = Cli::try_parse_from([
        "flowlift-consumer",
        "--config",
        "/dev/null",
        "--amqp-url",
        "http://me:s3cret@x",
    ]);
    let error = Config::check(cli.unwrap()).unwrap_err();
    assert_eq!(error.exit_code(), 78);
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[test]
fn the_command_line_is_well_formed_and_help_shows_no_secret() {
    let mut command = Cli::command();
    command.clone().debug_assert();
    let help = command.render_long_help().to_string();
    for word in [
        "--name",
        "--metrics-listen",
        "--grace",
        "--log",
        "--azkaban-connections",
        "--metrics-projects",
        "Examples:",
    ] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn a_probe_needs_nothing_but_an_address_that_can_be_used() {
    let probed = |arguments: &[&str]| {
        let cli = Cli::try_parse_from([&["flowlift-consumer", "--probe"], arguments].concat()).unwrap();
        (cli.probe, cli.probed().map_err(|error| error.exit_code()))
    };
    let at = Listen::At("0.0.0.0:9464".into());
    assert_eq!(probed(&["--metrics-listen", "0.0.0.0:9464"]), (true, Ok(at)));
    assert_eq!(probed(&["--metrics-listen", "9464"]), (true, Err(64)));
    assert_eq!(probed(&[]), (true, Ok(Listen::FirstFree)));
}

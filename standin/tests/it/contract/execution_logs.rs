//! Logs of flows and jobs, and what jobs run with.

use serde_json::json;

use crate::support::azkaban::Azkaban;
use crate::support::running::lines;
use crate::support::zips::{jobs, zip};

#[tokio::test]
async fn a_jobs_log_is_cut_out_by_bytes() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let (id, _) = project.executed("f", &[]).await;
    let piece = async |offset: &str, length: &str| {
        let fields = [("jobId", "f"), ("offset", offset), ("length", length)];
        azkaban.about("fetchExecJobLogs", id, &fields).await
    };
    let whole = azkaban.log(id, Some("f")).await;
    let reply = piece("10", "30").await;
    assert_eq!(
        reply.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(
        reply.text(),
        format!(
            "{{\n  \"length\" : 30,\n  \"offset\" : 10,\n  \"data\" : \"{}\"\n}}",
            &whole[10..40]
        )
    );
    assert_eq!(
        piece("-5", "10").await.json(),
        json!({"length": 5, "offset": -5, "data": whole[..5]})
    );
    for (offset, length) in [("100000", "60"), ("10", "0")] {
        assert_eq!(
            piece(offset, length).await.json(),
            json!({"length": 0, "offset": offset.parse::<i64>().unwrap(), "data": ""})
        );
    }
    project.delete().await;
}

#[tokio::test]
async fn a_noop_jobs_log_tells_its_beginning_and_its_end() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let (id, tree) = project.executed("f", &[]).await;
    let mut log = lines(&azkaban.log(id, Some("f")).await);
    // A server that was told its own address does not complain, and nothing else differs.
    if log[1] == "f INFO - azkaban.webserver.url property was not set" {
        log.remove(1);
    }
    let (start, end) = (&tree["nodes"][0]["startTime"], &tree["nodes"][0]["endTime"]);
    assert_eq!(log[0], format!("f INFO - Starting job f at {start}"));
    assert_eq!(
        log[1],
        format!("f INFO - job JVM args: '-Dazkaban.flowid=f' '-Dazkaban.execid={id}' '-Dazkaban.jobid=f'")
    );
    assert_eq!(
        log[2],
        "f INFO - user.to.proxy property was not set, defaulting to submit user azkaban"
    );
    assert_eq!(log[3], "f INFO - Building noop job executor. ");
    assert_eq!(log[4], "f INFO - JobClassLoader URLs: ");
    assert_eq!(
        log.last().unwrap(),
        &format!("f INFO - Finishing job f at {end} with status SUCCEEDED")
    );
    project.delete().await;
}

#[tokio::test]
async fn commands_are_taken_apart_without_a_shell() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let f = "type=command\ncommand=echo \"two  blanks\" 'a b' <x> $HOME ${azkaban.flow.flowid} ${other}\ncommand.1=sh -c \
             \"echo out; echo err >&2; echo $JOB_NAME $MINE\"\ncommand.3=echo never\nother=[${azkaban.job.id}]\nenv.MINE=yes\n";
    project.install(&zip(&[("f.job", f)])).await;
    let (id, _) = project.executed("f", &[]).await;
    let log = lines(&azkaban.log(id, Some("f")).await);
    let has = |line: &str| assert!(log.iter().any(|known| known == line), "{line}: {log:#?}");
    has("f INFO - 2 commands to execute.");
    has("f INFO - effective user is: azkaban");
    assert!(log.iter().any(|line| {
        line.starts_with("f INFO - Working directory: /") && line.ends_with(&format!("/executions/{id}"))
    }));
    has("f INFO - Command: echo &quot;two  blanks&quot; 'a b' &lt;x&gt; $HOME f [f]");
    has("f INFO - two  blanks a b &lt;x&gt; $HOME f [f]");
    has("f INFO - out");
    has("f INFO - err");
    has("f INFO - f yes");
    assert!(!log.iter().any(|line| line.contains("never")));
    let env = log
        .iter()
        .find(|line| line.starts_with("f INFO - Environment variables: {"))
        .unwrap();
    for name in [
        "MINE=yes",
        "JOB_NAME=f",
        "JOB_PROP_FILE=/",
        "JOB_OUTPUT_PROP_FILE=/",
        "KRB5CCNAME=/tmp/krb5cc__",
    ] {
        assert!(env.contains(name), "{name}: {env}");
    }
    project.delete().await;
}

#[tokio::test]
async fn logs_are_escaped_for_html() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let f = "type=command\ncommand=printf \"\\\\303\\\\244 <b>& \\\\342\\\\230\\\\203 \\\\360\\\\235\\\\204\\\\236 \\\\316\\\\273 '\\\\n\"\n";
    project.install(&zip(&[("f.job", f)])).await;
    let (id, _) = project.executed("f", &[]).await;
    let log = azkaban.log(id, Some("f")).await;
    let line = "f INFO - &auml; &lt;b&gt;&amp; &#9731; &#55348;&#56606; &lambda; '\n";
    assert!(log.contains(line), "{log}");
    project.delete().await;
}

#[tokio::test]
async fn jobs_run_where_their_file_lies_with_the_projects_files() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let job = "type=command\ncommand=sh -c \"pwd; cat data.txt\"\n";
    project
        .install(&zip(&[
            ("sub/f.job", job),
            ("sub/data.txt", "the data"),
            ("top.txt", ""),
        ]))
        .await;
    let (id, _) = project.executed("f", &[]).await;
    let log = azkaban.log(id, Some("f")).await;
    assert!(log.contains(&format!("/executions/{id}/sub\n")), "{log}");
    assert!(log.contains("INFO - the data\n"), "{log}");
    project.delete().await;
}

#[tokio::test]
async fn properties_come_from_files_the_caller_the_jobs_before_and_the_job() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let give = r#"type=command
command=sh -c "cp give.json $JOB_OUTPUT_PROP_FILE"
"#;
    let show = "type=command\ncommand=echo ${a} ${b} ${c} ${d} ${n}\nd=job\ndependencies=give\n";
    project
        .install(&zip(&[
            ("all.properties", "a=file\nb=file\nc=file\nd=file\n"),
            ("give.json", r#"{"c": "given", "d": "given", "n": 5}"#),
            ("give.job", give),
            ("show.job", show),
        ]))
        .await;
    let overrides = [
        ("flowOverride[b]", "flow"),
        ("flowOverride[c]", "flow"),
        ("flowOverride[d]", "flow"),
    ];
    let (id, tree) = project.executed("show", &overrides).await;
    let log = azkaban.log(id, Some("show")).await;
    assert!(log.contains("INFO - file flow given job 5\n"), "{tree} {log}");
    project.delete().await;
}

#[tokio::test]
async fn failures_are_told_in_the_log() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[
            ("code.job", "type=command\ncommand=sh -c \"exit 3\"\n"),
            ("none.job", "type=command\n"),
            ("file.job", "type=command\ncommand=/no/such/file x\n"),
            ("unres.job", "type=command\ncommand=echo ${nope}\n"),
            ("kind.job", "type=nosuch\n"),
            ("dir.job", "type=command\ncommand=pwd\nworking.dir=/\n"),
            (
                "good.job",
                "type=command\ncommand=false\njob.succeed.on.failure=true\n",
            ),
        ]))
        .await;
    let process = "azkaban.jobExecutor.utils.process.ProcessFailureException: Process exited with code 3";
    let code = format!("java.lang.RuntimeException: {process}\n");
    let cause = format!("ERROR - {process} cause: {process}\n");
    let none = "Job set up failed: Missing required property 'command'";
    let none_cause = format!(
        "ERROR - {none} cause: azkaban.utils.UndefinedPropertyException: Missing required property 'command'\n"
    );
    for (flow, status, texts) in [
        (
            "code",
            "FAILED",
            vec![
                "ERROR - Job run failed!\n",
                &code,
                &cause,
                "completed unsuccessfully in 0 seconds.\n",
            ],
        ),
        (
            "none",
            "FAILED",
            vec![
                "ERROR - Job set up failed: Missing required property 'command'\n",
                &none_cause,
            ],
        ),
        (
            "file",
            "FAILED",
            vec![
                "ERROR - Process has not yet started. cause: null\n",
                "java.lang.IllegalStateException: ",
            ],
        ),
        (
            "unres",
            "FAILED",
            vec![
                "ERROR - Failed to build job executor for job unresCould not find variable substitution for variable(s) \
                 [command-&gt;nope]\n",
                "ERROR - Job run failed preparing the job.\n",
            ],
        ),
        (
            "kind",
            "FAILED",
            vec![
                "ERROR - Failed to build job executor for job kind",
                "Job run failed preparing the job.\n",
            ],
        ),
        (
            "dir",
            "FAILED",
            vec!["ERROR - Specified working.dir is not valid: /. Must be a subdirectory of /"],
        ),
        (
            "good",
            "SUCCEEDED",
            vec![
                "ERROR - Job run failed, but will treat it like success.\n",
                "FAILED_SUCCEEDED\n",
            ],
        ),
    ] {
        let (id, tree) = project.executed(flow, &[]).await;
        let log = azkaban.log(id, Some(flow)).await;
        assert_eq!(tree["status"], status, "{flow}: {log}");
        for text in texts {
            assert!(log.contains(text), "{flow}: {text}: {log}");
        }
    }
    project.delete().await;
}

#[tokio::test]
async fn a_flows_log_tells_all_its_steps() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[
            ("end.job", "type=noop\ndependencies=bad,off\n"),
            ("bad.job", "type=command\ncommand=false\n"),
            ("off.job", "type=noop\n"),
        ]))
        .await;
    let (id, tree) = project.executed("end", &[("disabled", "[\"off\"]")]).await;
    let log = lines(&azkaban.log(id, None).await);
    let log: Vec<String> = log
        .into_iter()
        .map(|line| match line.split_once(" is: /") {
            Some((start, path)) => format!("{start} is: {}", path.rsplit('/').next().unwrap()),
            None => line,
        })
        .filter(|line| !line.starts_with("end INFO - Assigned executor : "))
        .collect();
    let end = tree["endTime"].as_i64().unwrap();
    let expected = [
        format!("Running execid:{id} flow:end project:{} version:1", project.id),
        "Updating initial flow directory.".to_owned(),
        "Fetching job and shared properties.".to_owned(),
        "Starting flows".to_owned(),
        "Running flow 'end'.".to_owned(),
        "Configuring Azkaban metrics tracking for jobrunner object".to_owned(),
        "Submitting job 'bad' to run.".to_owned(),
        "Skipping disabled job 'off'.".to_owned(),
        format!("Log file path for job: bad is: _job.{id}.bad.log"),
        "Created file appender for job bad".to_owned(),
        "Attached file appender for job bad".to_owned(),
        "Job Started: bad".to_owned(),
        "No attachment file for job bad written.".to_owned(),
        "Job bad finished with status FAILED in 0 seconds".to_owned(),
        "Setting end to FAILED_FINISHING".to_owned(),
        "Condition on job status: all_success is evaluated to false for end".to_owned(),
        "Cancelling 'end' due to prior errors.".to_owned(),
        "Setting flow 'end' status to FAILED in 0 seconds".to_owned(),
        "Finishing up flow. Awaiting Termination".to_owned(),
        "Finished Flow".to_owned(),
    ];
    let expected: Vec<String> = expected.iter().map(|line| format!("end INFO - {line}")).collect();
    // Which thread is first, the flow's or the job's, is chance: compared without their order.
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    let last = log.last().unwrap().clone();
    assert_eq!(sorted(log[..log.len() - 1].to_vec()), sorted(expected));
    let told: i64 = last.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(
        last.starts_with(&format!("end INFO - Setting end time for flow {id} to "))
            && (end - told).abs() < 1000
    );
    project.delete().await;
}

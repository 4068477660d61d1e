//! The server's side of an upload, from the last byte of the body on: it goes on whatever becomes of its client.

use std::rc::Rc;

use flowlift_azkaban::Format;
use flowlift_azkaban::Load;
use flowlift_azkaban::client::{ClientError, ProjectId, Uploaded};

use super::content::{Content, install_failed};
use crate::clock::{Ms, Promise};
use crate::node::hands::USER;
use crate::world::{W, tell};

/// An uploaded zip.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    /// The project's lower-case name.
    pub(crate) key: String,
    /// Who uploads, for the log.
    pub(crate) who: String,
    /// The zip's name.
    pub(crate) file: String,
    /// The zip.
    pub(crate) content: Rc<Content>,
}

/// What the server answers.
pub(crate) type Answer = Result<Uploaded, ClientError>;

/// Parses, stores, cleans up, answers.
pub(crate) async fn install(w: W, upload: Upload, answer: Promise<Answer>) {
    let installing = &w.azkaban.installing;
    installing.set(installing.get() + 1);
    go_through(&w, upload, answer).await;
    installing.set(installing.get() - 1);
}

async fn go_through(w: &W, upload: Upload, answer: Promise<Answer>) {
    let id = match w.azkaban.state.borrow_mut().project(&upload.key) {
        Ok(project) => project.id,
        Err(error) => return answer.keep(Err(error)),
    };
    let (usual, rare) = w.weather.install;
    let long = if w.strikes(50) { rare } else { usual };
    let parse = w.between(1, long / 2 + 1);
    w.clock.sleep(parse).await;
    if w.strikes(w.weather.stuck) {
        // a full disk, a long collection, a database that hangs for this request alone
        let stuck = w.skewed(60_000, 45 * 60_000);
        tell!(w, "azkaban: {} is stuck for {} s", upload.file, stuck / 1_000);
        w.clock.sleep(stuck).await;
    }
    if let Some(refusal) = upload.content.refusal() {
        tell!(w, "azkaban: refuses {} ({refusal})", upload.file);
        return answer.keep(Err(refusal));
    }
    lock(w, id).await;
    let stored = store(w, id, &upload, long).await;
    unlock(w, id);
    if let Err(error) = stored {
        tell!(w, "azkaban: fails to store {}: {error}", upload.file);
        return answer.keep(Err(error));
    }
    // outside the lock: schedules of vanished flows, and the version as it is by then
    let pause = w.between(0, 3);
    w.clock.sleep(pause).await;
    let (version, gone) = {
        let mut state = w.azkaban.state.borrow_mut();
        let Some(project) = state.projects.get_mut(&id) else {
            return;
        };
        (project.active, project.clean_schedules(w.now(), &upload.key))
    };
    if !gone.is_empty() {
        tell!(w, "azkaban: removes the schedules of {}", gone.join(", "));
    }
    answer.keep(Ok(Uploaded {
        version,
        project_id: id,
        warn: None,
    }));
}

/// Under the project's lock: the version row, the flows, the version, the line in the log.
async fn store(w: &W, id: ProjectId, upload: &Upload, long: Ms) -> Result<(), ClientError> {
    awake(w).await;
    if w.strikes(w.weather.persist_failure / 3) {
        return Err(install_failed(
            "Error initializing project id: 7 version: 9 ",
            None,
        ));
    }
    let version = with(w, id, |project| {
        project.add_version(&upload.file, &upload.content)
    });
    let time = w.between(1, long);
    w.clock.sleep(time).await;
    awake(w).await;
    let format = match &upload.content.load {
        Load::Flows(loaded) => loaded.format,
        _ => Format::V1,
    };
    let before = with(w, id, |project| project.active);
    if let Some(flow) = upload.content.cannot_store() {
        return Err(install_failed(
            &format!("Error inserting flow {flow}"),
            Some(before),
        ));
    }
    if w.strikes(w.weather.persist_failure / 3) {
        let words = failure(w, &upload.content);
        return Err(install_failed(&words, Some(before)));
    }
    let by_us = upload.who == USER;
    if with(w, id, |project| {
        project.may_forget(version, &upload.content, by_us)
    }) {
        w.truth.borrow_mut().forgotten.insert(upload.key.clone());
    }
    with(w, id, |project| project.activate(version));
    if format == Format::V2 && w.strikes(w.weather.persist_failure / 3) {
        // 4.0.0 changes the version before it writes the flow files
        w.watch.half_landed(w, id, version, upload);
        let words = "upload project files failed.";
        return Err(install_failed(words, Some(version)));
    }
    if by_us && w.strikes(w.weather.leaves_out) {
        tell!(w, "azkaban: leaves a flow of {} out, silently", upload.file);
        with(w, id, super::project::Project::leave_out);
    }
    let now = w.now();
    with(w, id, |project| {
        project.log_upload(now, &upload.who, &upload.file);
        project.clean_old();
    });
    tell!(
        w,
        "azkaban: {} lands as version {version} of {}",
        upload.file,
        upload.key
    );
    w.watch.landed(w, id, version, upload);
    Ok(())
}

/// What a database in trouble says; now and then it names a flow that is not to blame.
fn failure(w: &W, content: &Content) -> String {
    let flows: Vec<String> = content.listed().into_iter().collect();
    if !flows.is_empty() && w.between(1, 3) == 1 {
        return format!("Error inserting flow {}", w.pick(&flows));
    }
    "Error Chunking during uploading files to db...".to_owned()
}

fn with<T>(w: &W, id: ProjectId, act: impl FnOnce(&mut super::project::Project) -> T) -> T {
    let mut state = w.azkaban.state.borrow_mut();
    act(state.projects.get_mut(&id).expect("projects are never forgotten"))
}

/// Waits while the database hangs.
async fn awake(w: &W) {
    loop {
        let until = w.azkaban.hangs_until.get();
        if until <= w.now() {
            return;
        }
        w.clock.sleep_until(until).await;
    }
}

async fn lock(w: &W, id: ProjectId) {
    loop {
        let wait = with(w, id, |project| {
            if !project.locked {
                project.locked = true;
                return None;
            }
            let turn = Promise::new(&w.clock);
            project.waiting.push_back(turn.clone());
            Some(turn)
        });
        match wait {
            None => return,
            Some(turn) => turn.await,
        }
    }
}

fn unlock(w: &W, id: ProjectId) {
    with(w, id, |project| {
        project.locked = false;
        if let Some(next) = project.waiting.pop_front() {
            next.keep(());
        }
    });
}

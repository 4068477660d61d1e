//! People with a browser: they download, change and upload by hand, from the newest zip or an old one, with our hidden file
//! or without; they set schedules, and delete projects.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use flowlift_azkaban::name::fold;
use flowlift_azkaban::{PROJECT_FILE, Tree};
use flowlift_common::Order;
use flowlift_common::manifest::{self, Manifest};

use crate::azkaban::Caller;
use crate::azkaban::calls::{self, Downloaded};
use crate::azkaban::content::Content;
use crate::azkaban::install::Upload;
use crate::azkaban::upload::upload;
use crate::clock::Ms;
use crate::producer;
use crate::world::{W, tell};

/// The longest time between a download and the upload of what was made of it.
const LONGEST: Ms = 15 * 60_000;

/// What a person did to a project.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visit {
    /// The project's lower-case name.
    pub(crate) key: String,
    /// When the upload became active; `None`: it never did.
    pub(crate) landed_at: Option<Ms>,
    /// It became active, but Azkaban called it failed.
    pub(crate) half_landed: bool,
    /// What was applied last to each flow in the zip it was made from; `None`: that zip had never been active.
    pub(crate) started_from: Option<BTreeMap<String, Order>>,
    /// Whether our hidden file is still in it.
    pub(crate) keeps_manifest: bool,
    /// What was done to flows (lower-case): their files, `None` where they were taken away.
    pub(crate) edits: BTreeMap<String, Option<BTreeMap<String, Bytes>>>,
    /// The flows in the zip it was made from.
    pub(crate) there: BTreeSet<String>,
}

/// One visit.
pub(crate) async fn visit(w: W, number: usize) {
    let key = producer::project(w.index(w.weather.projects)).key();
    if w.weather.recreate && w.between(0, 3) == 0 {
        return delete(&w, &key).await;
    }
    if w.between(0, 4) == 0 {
        return schedule(&w, &key, number).await;
    }
    let Ok(Some(found)) = calls::download(&w, Caller::Person, &key, None).await else {
        return;
    };
    let think = if w.between(0, 1) == 0 {
        w.between(1_000, 20_000)
    } else {
        w.skewed(20_000, LONGEST)
    };
    let (visit, file, tree) = edit(&w, &key, number, &found);
    tell!(
        w,
        "person {number}: has {key} version {} and changes {:?}{}",
        found.version,
        visit.edits.keys().collect::<Vec<_>>(),
        if visit.keeps_manifest {
            ""
        } else {
            ", without our hidden file"
        }
    );
    let who = format!("person-{}", w.truth.borrow().visits.len());
    w.truth.borrow_mut().visits.push(visit);
    w.clock.sleep(think).await;
    tell!(w, "person {number}: uploads {file} to {key}");
    let sent = Upload {
        key,
        who,
        file,
        content: Content::of(tree),
    };
    let answer = upload(&w, Caller::Person, sent, 600_000).await;
    tell!(w, "person {number}: is answered {answer:?}");
}

fn edit(w: &W, key: &str, number: usize, found: &Downloaded) -> (Visit, String, Tree) {
    let mut tree = found.content.tree.clone();
    let manifest = tree
        .get(manifest::PATH)
        .and_then(|json| Manifest::read(json).ok());
    let was_active = w.watch.was_active(found.project_id, found.version);
    let orders = manifest.map_or_else(BTreeMap::new, |manifest| {
        manifest
            .flows
            .into_iter()
            .map(|(key, entry)| (key, entry.order))
            .collect()
    });
    let mut visit = Visit {
        key: key.to_owned(),
        started_from: was_active.then_some(orders),
        keeps_manifest: w.between(0, 9) < 6,
        there: found.content.listed().iter().map(|flow| fold(flow)).collect(),
        ..Visit::default()
    };
    for change in 0..w.between(1, 3) {
        let there: Vec<String> = visit
            .there
            .iter()
            .filter(|flow| !flow.starts_with('g'))
            .cloned()
            .collect();
        let words = format!("echo by hand {number} {change}");
        if there.is_empty() || w.between(0, 2) == 0 {
            let files = files(w, &format!("m{number}{change}"), &words);
            visit.edits.insert(format!("m{number}{change}"), Some(files));
            continue;
        }
        let flow = w.pick(&there).clone();
        let edit = (w.between(0, 1) == 0).then(|| files(w, &flow, &words));
        visit.edits.insert(flow, edit);
    }
    for (flow, edit) in &visit.edits {
        let end = if w.weather.flow2 { ".flow" } else { ".job" };
        tree.retain(|path, _| *path != format!("{flow}{end}") && !path.starts_with(&format!("{flow}~")));
        tree.extend(edit.clone().unwrap_or_default());
    }
    if w.weather.flow2 && !tree.keys().any(|path| path.ends_with(".project")) {
        let (path, content) = PROJECT_FILE;
        tree.insert(path.to_owned(), content.into());
    }
    if !visit.keeps_manifest {
        tree.remove(manifest::PATH);
    }
    // most people have one name for it; some upload under the name that the browser gave the download
    let file = match w.between(0, 3) {
        0 => found.file.clone(),
        _ => "project.zip".to_owned(),
    };
    (visit, file, tree)
}

fn files(w: &W, flow: &str, command: &str) -> BTreeMap<String, Bytes> {
    let (path, text) = if w.weather.flow2 {
        let text = format!("nodes:\n- name: end\n  type: command\n  config:\n    command: {command}\n");
        (format!("{flow}.flow"), text)
    } else {
        (
            format!("{flow}.job"),
            format!("type=command\ncommand={command}\n"),
        )
    };
    BTreeMap::from([(path, text.into())])
}

async fn schedule(w: &W, key: &str, number: usize) {
    let Ok((_, listed)) = calls::flows(w, Caller::Person, key).await else {
        return;
    };
    let listed: Vec<String> = listed.into_iter().collect();
    if listed.is_empty() {
        return;
    }
    let flow = w.pick(&listed).clone();
    let cron = format!("0 {} 5 ? * *", number % 60);
    tell!(w, "person {number}: schedules {flow} of {key}");
    // noted in any case: the answer may get lost
    let by_hand = (key.to_owned(), fold(&flow), cron.clone());
    w.truth.borrow_mut().crons_by_hand.push(by_hand);
    let set = calls::schedule_cron(w, Caller::Person, key, &flow, &cron).await;
    tell!(w, "person {number}: is answered {set:?}");
}

async fn delete(w: &W, key: &str) {
    let pause = w.between(1, 2_000);
    w.clock.sleep(pause).await;
    tell!(w, "a person deletes project {key}");
    w.azkaban.state.borrow_mut().delete(key);
    let now = w.now();
    w.truth.borrow_mut().deleted.insert(key.to_owned(), now);
    if w.between(0, 1) == 0 {
        let pause = w.skewed(1_000, 300_000);
        w.clock.sleep(pause).await;
        let made = calls::create(w, Caller::Person, key).await;
        tell!(w, "a person makes project {key} again: {}", made.is_ok());
    }
}

/// Notes that a person's upload became active.
pub(crate) fn landed(w: &W, who: &str) {
    let now = w.now();
    with_visit(w, who, |visit| visit.landed_at = Some(now));
}

/// Notes that a person's upload became active for a while, and the person was told that it failed.
pub(crate) fn half_landed(w: &W, who: &str) {
    with_visit(w, who, |visit| visit.half_landed = true);
}

fn with_visit(w: &W, who: &str, note: impl FnOnce(&mut Visit)) {
    let number = who
        .strip_prefix("person-")
        .and_then(|number| number.parse::<usize>().ok());
    if let Some(number) = number
        && let Some(visit) = w.truth.borrow_mut().visits.get_mut(number)
    {
        note(visit);
    }
}

/// Spreads visits over the night.
pub(crate) fn come(w: &W) {
    for number in 0..usize::try_from(w.weather.visits).unwrap_or_default() {
        let at = w.between(0, w.weather.night);
        let world = Rc::clone(w);
        w.visiting.set(w.visiting.get() + 1);
        w.clock.spawn(crate::clock::OUTSIDE, async move {
            world.clock.sleep(at).await;
            visit(Rc::clone(&world), number).await;
            world.visiting.set(world.visiting.get() - 1);
        });
    }
}

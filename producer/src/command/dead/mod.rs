//! `flowlift dead`.

mod edit;
mod list;
mod purge;
mod requeue;
mod show;

use std::collections::{BTreeMap, BTreeSet};

use flowlift_azkaban::ProjectName;
use flowlift_common::RunId;

use super::{Context, publish};
use crate::cli::dead::{ChoiceArgs, Dead, FilterArgs};
use crate::dead::desk::Desk;
use crate::dead::filter::{Filter, Selection};
use crate::dead::id::Id;
use crate::dead::letter::{Entry, Letter, Unread, entries};
use crate::dead::overtaken::Watch;
use crate::dead::picked::Picked;
use crate::exit::Failure;
use crate::publish::now_ms;
use crate::reporter::Reporter;
use crate::words::{count, some};

/// Projects named in a question.
const NAMED: usize = 3;

/// Runs it.
pub(super) async fn run(context: &Context, command: &Dead) -> Result<(), Failure> {
    match command {
        Dead::List(args) => list::run(context, args).await,
        Dead::Show(args) => show::run(context, args).await,
        Dead::Edit(args) => edit::run(context, args).await,
        Dead::Requeue(args) => requeue::run(context, args).await,
        Dead::Purge(args) => purge::run(context, args).await,
    }
}

fn filter(args: &FilterArgs) -> Selection {
    let ago = |age: std::time::Duration| {
        let ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        now_ms().saturating_sub(ms)
    };
    Selection::Filter(Filter {
        run: args.run,
        project: args.project.clone(),
        reason: args.reason.clone(),
        before_ms: args.older_than.map(ago),
        after_ms: args.newer_than.map(ago),
    })
}

fn selection(args: &ChoiceArgs, verb: &str) -> Result<Selection, Failure> {
    if !args.ids.is_empty() {
        return Ok(Selection::Ids(args.ids.clone()));
    }
    if args.filter.is_empty() && !args.all {
        return Err(Failure::Usage(format!(
            "{verb} which? expected ids, or --run, --project, --reason, --older-than, --newer-than, or --all"
        )));
    }
    Ok(filter(&args.filter))
}

/// What a selection means now.
#[derive(Debug, Default)]
struct Counted {
    picked: Picked,
    projects: BTreeMap<ProjectName, u64>,
    owners: BTreeSet<String>,
    /// Runs that ids with a short run mean.
    named: BTreeMap<(u64, String), BTreeSet<RunId>>,
}

impl Counted {
    fn entry(&mut self, entry: &Entry<'_>) -> bool {
        let fresh = self.picked.add(entry.order());
        if fresh {
            let envelope = &entry.letter.envelope;
            *self.projects.entry(envelope.project.clone()).or_default() += 1;
            if self.owners.len() < 2 {
                self.owners.insert(envelope.owner.clone());
            }
        }
        fresh
    }

    fn total(&self) -> u64 {
        self.picked.changes() + self.picked.unread()
    }

    /// The owner all have in common.
    fn owner(&self) -> String {
        match self.owners.first() {
            Some(owner) if self.owners.len() == 1 => owner.clone(),
            _ => String::new(),
        }
    }

    /// ` in project night`, ` in 3 projects`.
    fn places(&self) -> String {
        let names: Vec<String> = self.projects.keys().map(ToString::to_string).collect();
        match names.as_slice() {
            [] => String::new(),
            [one] => format!(" in project {one}"),
            all => format!(" in {}: {}", count(all.len() as u64, "project"), some(all, NAMED)),
        }
    }
}

/// Looks up what a selection means. Every id has to mean exactly one letter.
async fn counted(
    desk: &Desk,
    selection: &Selection,
    mut watch: Option<&mut Watch>,
    reporter: &Reporter,
) -> Result<Counted, Failure> {
    let mut counted = Counted::default();
    let stage = reporter.stage("looked at", "messages", None);
    let by_id = matches!(selection, Selection::Ids(_));
    desk.look(async |letter, _| {
        stage.add(1);
        match &letter {
            Letter::Changes(letter) => {
                for entry in entries(letter).filter(|entry| selection.takes(entry)) {
                    let fresh = counted.entry(&entry);
                    if fresh && let Some(watch) = watch.as_deref_mut() {
                        watch.add(&entry);
                    }
                    if by_id {
                        let runs = counted.named.entry((entry.change.seq, entry.id().to_string()));
                        runs.or_default().insert(entry.letter.envelope.run);
                    }
                }
            }
            Letter::Unread(unread) if selection.takes_unread(unread) => {
                counted.picked.add_unread(unread.hash);
            }
            Letter::Unread(_) => {}
        }
        Ok(())
    })
    .await?;
    stage.finish();
    if let Selection::Ids(ids) = selection {
        meant(ids, &counted)?;
    }
    Ok(counted)
}

fn meant(ids: &[Id], counted: &Counted) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for id in ids {
        let runs: BTreeSet<RunId> = match id {
            Id::Unread(hash) if counted.picked.has_unread(*hash) => continue,
            Id::Unread(_) => BTreeSet::new(),
            Id::Change(run, seq) => {
                let of_seq = counted.named.iter().filter(|((other, _), _)| other == seq);
                let runs = of_seq.flat_map(|(_, runs)| runs).copied();
                runs.filter(|one| run.names(*one)).collect()
            }
        };
        match (runs.len(), id) {
            (0, _) => missing.push(id.to_string()),
            (1, _) => {}
            (_, Id::Change(_, seq)) => {
                let full: Vec<String> = runs.iter().map(|run| format!("{run}.{seq}")).collect();
                return Err(Failure::Usage(format!(
                    "{id} may mean {}; name one of them in full",
                    full.join(" or ")
                )));
            }
            (_, Id::Unread(_)) => {}
        }
    }
    match missing.as_slice() {
        [] => Ok(()),
        [one] => Err(Failure::NoInput(format!(
            "there is no dead letter {one}; `flowlift dead list` shows those that are there"
        ))),
        all => Err(Failure::NoInput(format!(
            "there are no dead letters {}; nothing was done",
            some(all, 10)
        ))),
    }
}

/// Says that nothing is meant.
fn say_none(context: &Context, selection: &Selection) {
    context
        .reporter
        .say(&format!("there are no dead letters{}", selection.describe()));
}

/// The one letter an id means.
struct One {
    letter: flowlift_common::ledger::DeadLetter,
    change: flowlift_common::Change,
    /// The user who published it, by RabbitMQ's word.
    publisher: Option<String>,
}

enum Only {
    Change(Box<One>),
    Unread(Unread),
}

/// Finds the one letter an id means.
async fn only(desk: &Desk, id: Id) -> Result<Only, Failure> {
    let selection = Selection::Ids(vec![id]);
    let mut found: BTreeMap<RunId, Only> = BTreeMap::new();
    let mut unread = None;
    desk.look(async |letter, message| {
        match letter {
            Letter::Changes(letter) => {
                if let Some(entry) = entries(&letter).find(|entry| selection.takes(entry)) {
                    let change = entry.change.clone();
                    let one = One {
                        letter: (*letter).clone(),
                        change,
                        publisher: message.facts.published_by.clone(),
                    };
                    let run = letter.envelope.run;
                    found.entry(run).or_insert_with(|| Only::Change(Box::new(one)));
                }
            }
            Letter::Unread(one) => {
                if selection.takes_unread(&one) {
                    unread = Some(one);
                }
            }
        }
        Ok(())
    })
    .await?;
    if let Some(unread) = unread {
        return Ok(Only::Unread(unread));
    }
    let mut counted = Counted::default();
    if let Id::Change(_, seq) = id {
        let runs = found.keys().copied().collect();
        counted.named.insert((seq, id.to_string()), runs);
    }
    meant(&[id], &counted)?;
    let (_, one) = found
        .pop_first()
        .ok_or_else(|| Failure::Bug(format!("{id} was found and lost")))?;
    Ok(one)
}

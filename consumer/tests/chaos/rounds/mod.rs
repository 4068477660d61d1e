//! The rounds: each one fault, played under load.

mod azkaban;
mod consumers;
mod people;
mod rabbit;
mod wishes;

use std::pin::Pin;

use crate::scene::Scene;

/// A fault as it is played; gives how often it was tried.
type Play = for<'s, 'b> fn(&'s mut Scene<'b>) -> Pin<Box<dyn Future<Output = u64> + 's>>;

/// What a round needs to be played on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Any Azkaban.
    Any,
    /// The stand-in with its faults.
    Standin,
}

/// One fault.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) name: &'static str,
    /// The fault in words, for the table.
    pub(crate) fault: &'static str,
    pub(crate) needs: Needs,
    /// Consumers at its beginning.
    pub(crate) consumers: usize,
    /// No fault: uploads of one project must not overlap, and the bound of connections holds.
    pub(crate) calm: bool,
    /// A last run touches every project once the fault is over.
    pub(crate) touch: bool,
    /// The ledger of what was published before the fault's end is gone.
    pub(crate) ledger_lost: bool,
    pub(crate) play: Play,
}

const fn round(name: &'static str, fault: &'static str, needs: Needs, play: Play) -> Round {
    Round {
        name,
        fault,
        needs,
        consumers: 3,
        calm: false,
        touch: false,
        ledger_lost: false,
        play,
    }
}

/// All of them, the longest first, so that lanes end together.
pub(crate) fn all() -> Vec<Round> {
    use Needs::{Any, Standin};
    vec![
        round(
            "db-down-long",
            "Azkaban's database away for longer than the fence (100 s)",
            Standin,
            |scene| Box::pin(azkaban::database_down(scene, 100)),
        ),
        round(
            "zombies",
            "uploads that outlive their client: consumers killed while Azkaban stores slowly",
            Standin,
            |scene| Box::pin(azkaban::zombies(scene)),
        ),
        round(
            "hang",
            "Azkaban stands still in an upload (20 s), its consumer is killed meanwhile",
            Standin,
            |scene| Box::pin(azkaban::hang(scene)),
        ),
        round(
            "kill-9",
            "kill -9 of a consumer, most of them during an upload",
            Any,
            |scene| Box::pin(consumers::kill(scene)),
        ),
        round(
            "cut-long",
            "a consumer without network to RabbitMQ for 60 s",
            Any,
            |scene| Box::pin(rabbit::one_without_network(scene, 60)),
        ),
        round(
            "freeze",
            "a consumer frozen for longer than the heartbeat, then thawed",
            Any,
            |scene| Box::pin(consumers::freeze(scene)),
        ),
        Round {
            calm: true,
            ..round(
                "hand-over",
                "no fault: consumers join and leave (SIGTERM)",
                Any,
                |scene| Box::pin(consumers::join_and_leave(scene)),
            )
        },
        round(
            "pause",
            "everything paused; meanwhile a consumer killed with -9 and RabbitMQ restarted",
            Any,
            |scene| Box::pin(wishes::pause(scene)),
        ),
        round(
            "cancel",
            "runs cancelled; right after it RabbitMQ killed or restarted and a consumer killed with -9",
            Any,
            |scene| Box::pin(wishes::cancel(scene)),
        ),
        round("sigterm", "SIGTERM during uploads", Any, |scene| {
            Box::pin(consumers::terminate(scene))
        }),
        round(
            "sigterm-twice",
            "SIGTERM twice during uploads: leave at once",
            Any,
            |scene| Box::pin(consumers::terminate_twice(scene)),
        ),
        round(
            "broker-kill",
            "kill -9 of RabbitMQ, started again",
            Any,
            |scene| Box::pin(rabbit::kill(scene)),
        ),
        round("broker-restart", "RabbitMQ restarted in order", Any, |scene| {
            Box::pin(rabbit::restart(scene))
        }),
        round(
            "cut-broker",
            "all connections to RabbitMQ broken off",
            Any,
            |scene| Box::pin(rabbit::cut(scene)),
        ),
        round(
            "no-broker",
            "no network to RabbitMQ for anybody, 30 s",
            Any,
            |scene| Box::pin(rabbit::nobody_has_network(scene)),
        ),
        round("channel", "channels closed by RabbitMQ", Any, |scene| {
            Box::pin(rabbit::close_channels(scene))
        }),
        round("memory-alarm", "memory alarm of RabbitMQ (20 s)", Any, |scene| {
            Box::pin(rabbit::memory_alarm(scene))
        }),
        round("shard-deleted", "an empty shard queue deleted", Any, |scene| {
            Box::pin(rabbit::delete_shards(scene))
        }),
        Round {
            ledger_lost: true,
            ..round(
                "outcomes-deleted",
                "the stream of outcomes deleted",
                Any,
                |scene| Box::pin(rabbit::delete_outcomes(scene)),
            )
        },
        round(
            "latency",
            "every answer of Azkaban 300 ms later",
            Standin,
            |scene| Box::pin(azkaban::latency(scene)),
        ),
        round(
            "html-500",
            "an HTML page with status 500 in answer to an upload",
            Standin,
            |scene| Box::pin(azkaban::html_500(scene)),
        ),
        round(
            "drop-after-commit",
            "connection dropped after Azkaban has stored the upload",
            Standin,
            |scene| Box::pin(azkaban::drop_after_commit(scene)),
        ),
        round(
            "answer-lost",
            "the answer to an upload swallowed on its way",
            Any,
            |scene| Box::pin(azkaban::answers_lost(scene)),
        ),
        round(
            "persist-fails",
            "storing breaks off after k flows",
            Standin,
            |scene| Box::pin(azkaban::persist_fails(scene)),
        ),
        round(
            "azkaban-restart",
            "Azkaban restarted in the middle of uploads",
            Standin,
            |scene| Box::pin(azkaban::restart(scene)),
        ),
        round(
            "azkaban-kill",
            "kill -9 of Azkaban in the middle of uploads, started again on its data",
            Standin,
            |scene| Box::pin(azkaban::kill(scene)),
        ),
        round(
            "azkaban-cut",
            "connections to Azkaban broken off, 8 s nobody answers",
            Any,
            |scene| Box::pin(azkaban::cut(scene)),
        ),
        round("azkaban-silent", "no network to Azkaban, 20 s", Any, |scene| {
            Box::pin(azkaban::silent(scene))
        }),
        round("db-down", "Azkaban's database away (10 s)", Standin, |scene| {
            Box::pin(azkaban::database_down(scene, 10))
        }),
        Round {
            touch: true,
            ..round("stale-zips", "people upload old zips", Any, |scene| {
                Box::pin(people::stale_zips(scene))
            })
        },
        Round {
            touch: true,
            ..round(
                "no-manifest",
                "people upload zips without our hidden file",
                Any,
                |scene| Box::pin(people::no_manifest(scene)),
            )
        },
        Round {
            touch: true,
            ..round(
                "edits",
                "people edit the latest version: their flows and removals stay",
                Any,
                |scene| Box::pin(people::edits(scene)),
            )
        },
    ]
}

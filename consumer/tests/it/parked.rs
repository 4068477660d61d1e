//! Projects that cannot go on are set aside and come back.

use std::time::Duration;

use azkaban_standin::User;
use flowlift_azkaban::ProjectName;
use flowlift_common::ledger::Outcome;
use flowlift_common::topology::{parked_queue, shard_of};
use flowlift_consumer::project::Limits;

use crate::broker::SHARDS;
use crate::rig::{Rig, client_of, flow};

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_project_is_parked_holds_nobody_up_and_comes_back_when_the_right_is_there() {
    let users = vec![User::admin("azkaban", "azkaban"), User::plain("bob", "bob")];
    let Some(mut rig) = Rig::make_for("parked", users).await else {
        return;
    };
    let admin = std::mem::replace(&mut rig.client, client_of(&rig.standin.url(), "bob", "bob"));
    let denied = ProjectName::new("denied").unwrap();
    admin.create_project(&denied, "not for bob").await.unwrap();
    let limits = Limits {
        unpark: (Duration::from_millis(500), Duration::from_secs(1)),
        parked: Duration::from_millis(200),
        ..Limits::default()
    };
    let _worker = rig.worker_with("one", limits).await;
    let waits = rig.publish("denied", vec![flow("a", "x"), flow("b", "x")]).await;
    // another project of the same shard goes on meanwhile
    let home = shard_of(&denied, SHARDS);
    let neighbour = (0..)
        .map(|n| format!("n{n}"))
        .find(|name| shard_of(&ProjectName::new(name.as_str()).unwrap(), SHARDS) == home);
    let run = rig.publish(&neighbour.unwrap(), vec![flow("c", "x")]).await;
    assert_eq!(rig.settled(run).await.count(Outcome::Applied), 1);
    rig.until_waiting(&parked_queue(home), |messages| messages > 0)
        .await;
    // Azkaban has no call of ours for it: the project is made anew by the one who is denied
    admin.delete_project(&denied).await.unwrap();
    let state = rig.settled(waits).await;
    assert_eq!(
        (state.count(Outcome::Applied), state.count(Outcome::Dead)),
        (2, 0)
    );
    assert_eq!(rig.waiting(&parked_queue(home)).await, 0);
    assert_eq!(rig.flows("denied").await, ["a", "b"]);
}

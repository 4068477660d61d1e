use std::time::Duration;

use flowlift_consumer::names::{claim, claim_again};

use crate::broker::{SOON, Vhost};

#[tokio::test(flavor = "multi_thread")]
async fn a_given_name_has_one_live_holder() {
    let Some(vhost) = Vhost::make("given").await else {
        return;
    };
    let (first, wire) = vhost.cuttable().await;
    let second = vhost.link().await;
    let name = claim(&first, Some("night-1"), "host").await.unwrap();
    assert!(name.is_given());

    let error = claim(&second, Some("night-1"), "host").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the name night-1 is held by another live consumer of this vhost; choose another --name or leave --name away"
    );
    assert_eq!(error.exit_code(), 78);
    assert!(claim(&second, Some("night-2"), "host").await.is_ok());

    drop(wire);
    let again = claim_again(&second, &name, SOON).await.unwrap();
    assert_eq!(again, name);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_no_name_gets_the_host_and_the_next_free_number() {
    let Some(vhost) = Vhost::make("numbered").await else {
        return;
    };
    let links = [vhost.link().await, vhost.link().await, vhost.link().await];
    let claims = links.iter().map(|link| claim(link, None, "rack-7"));
    let mut names: Vec<String> = futures_util::future::try_join_all(claims)
        .await
        .unwrap()
        .into_iter()
        .map(|name| name.text)
        .collect();
    names.sort();
    assert_eq!(names, ["rack-7-1", "rack-7-2", "rack-7-3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_numbered_name_gives_way_when_its_old_claim_outlives_our_patience() {
    let Some(vhost) = Vhost::make("gives-way").await else {
        return;
    };
    let (old, new) = (vhost.link().await, vhost.link().await);
    let name = claim(&old, None, "rack-7").await.unwrap();
    let next = claim_again(&new, &name, Duration::ZERO).await.unwrap();
    assert_eq!((name.text.as_str(), next.text.as_str()), ("rack-7-1", "rack-7-2"));
}

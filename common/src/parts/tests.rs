use super::*;
use crate::envelope::MAX_UNPACKED_IN_PARTS;
use proptest::prelude::*;

const RUN: RunId = RunId(uuid::Uuid::from_u128(5));

fn empty() -> File {
    tempfile::tempfile().unwrap()
}

/// Puts parts together in this order.
fn join(named: &Named, parts: &[(u32, Bytes)]) -> Result<Vec<u8>, Damaged> {
    let mut joining = Joining::new(named.clone(), empty())?;
    for (number, part) in parts {
        joining.take(*number, part).unwrap();
    }
    let stored = joining.done().unwrap()?;
    let mut body = Vec::new();
    stored.reader().read_to_end(&mut body).unwrap();
    Ok(body)
}

/// Bytes that differ from place to place.
fn body(length: usize) -> Bytes {
    (0..length)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_is_cut_comes_together_again_in_any_order_and_sent_twice(
        length in prop_oneof![1..100_usize, Just(PART_BYTES), Just(PART_BYTES + 1), PART_BYTES..4 * PART_BYTES],
        turn in 0..4_usize,
    ) {
        let body = body(length);
        let named = Named::of(RUN, 3, &body);
        let mut parts: Vec<(u32, Bytes)> = cut(&body).collect();
        prop_assert_eq!(parts.len(), named.count as usize);
        prop_assert!(parts.iter().all(|(_, part)| (1..=PART_BYTES).contains(&part.len())));
        let count = parts.len();
        parts.rotate_left(turn % count);
        parts.extend(parts.clone());
        prop_assert!(join(&named, &parts).unwrap() == body);
    }
}

#[test]
fn a_part_that_is_missing_damaged_or_longer_is_found() {
    let body = body(2 * PART_BYTES + 100);
    let named = Named::of(RUN, 1, &body);
    let parts: Vec<(u32, Bytes)> = cut(&body).collect();
    let error = join(&named, &parts[..2]).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "its parts have {} bytes together, {} were sent",
            2 * PART_BYTES,
            body.len()
        )
    );
    let gap = join(&named, &[parts[0].clone(), parts[2].clone()]).unwrap_err();
    assert!(gap.to_string().contains("were sent"), "{gap}");
    let mut flipped = parts.clone();
    let mut bytes = flipped[1].1.to_vec();
    bytes[77] ^= 1;
    flipped[1].1 = bytes.into();
    let error = join(&named, &flipped).unwrap_err().to_string();
    assert_eq!(
        error,
        "its parts are damaged: together they have another SHA-256 than what was sent"
    );
    let mut longer = parts;
    longer[2].1 = body.slice(..200);
    assert!(
        join(&named, &longer)
            .unwrap_err()
            .to_string()
            .contains("were sent")
    );
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_fetched() {
    let named = |count, bytes| Named {
        run: RUN,
        seq: 1,
        count,
        bytes,
        sha256: String::new(),
    };
    assert_eq!(named(64, 256 << 20).check(), Ok(()));
    let error = named(65, (256 << 20) + 1).check().unwrap_err().to_string();
    assert_eq!(
        error,
        "its parts have 268435457 bytes, at most 268435456 are allowed"
    );
    for (count, bytes) in [(0, 0), (1, 0), (2, 10), (u32::MAX, 4 << 20)] {
        let error = named(count, bytes).check().unwrap_err().to_string();
        assert_eq!(error, format!("{count} parts cannot have {bytes} bytes together"));
    }
}

#[test]
fn the_queue_follows_from_run_and_sequence_alone() {
    let queue = Named::of(RUN, 12, b"x").queue();
    assert_eq!(
        queue.name,
        "flowlift.parts.00000000-0000-0000-0000-000000000005.12"
    );
}

#[test]
fn the_hash_is_sha_256_in_hexadecimal() {
    let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(Named::of(RUN, 1, b"abc").sha256, wanted);
}

#[test]
fn a_bomb_in_parts_is_unreadable_and_never_unpacked() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::copy(
        &mut io::repeat(b'x').take(MAX_UNPACKED_IN_PARTS as u64 + 10),
        &mut bomb,
    )
    .unwrap();
    let bomb = Bytes::from(bomb.finish().unwrap());
    let named = Named::of(RUN, 1, &bomb);
    let mut joining = Joining::new(named, empty()).unwrap();
    for (number, part) in cut(&bomb) {
        joining.take(number, &part).unwrap();
    }
    let stored = joining.done().unwrap().unwrap();
    let error = stored.open().unwrap_err();
    assert!(
        error.to_string().contains("unpacks to more than 419430400 bytes"),
        "{error}"
    );
}

#[test]
fn an_outline_is_no_message_and_a_message_no_outline() {
    let message = Envelope::check(flowlift_azkaban::ProjectName::new("p").unwrap(), RUN, 4);
    let body = outline(message.outline());
    assert_eq!(read_outline(&body), Ok(message.clone()));
    assert!(matches!(Envelope::decode(&body), Err(DecodeError::Unreadable(_))));
    assert!(matches!(
        read_outline(&message.encode()),
        Err(DecodeError::Unreadable(_))
    ));
}

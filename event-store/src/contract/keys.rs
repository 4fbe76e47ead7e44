//! Data keys: made once, erased for good.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case that cannot go on has failed")]

use super::{LogUnderTest, stream};
use crate::port::WrappedKey;

fn wrapped(ring_key: u32, byte: u8) -> WrappedKey {
    WrappedKey::Wrapped { ring_key, bytes: vec![byte; 72] }
}

/// See its name.
pub async fn a_key_is_kept_once(under_test: impl LogUnderTest) {
    let (keys, stream) = (under_test.keys(), stream());
    assert_eq!(keys.get(&stream).await.unwrap(), None);
    assert_eq!(keys.insert(&stream, wrapped(1, 1)).await.unwrap(), wrapped(1, 1));
    assert_eq!(keys.insert(&stream, wrapped(1, 2)).await.unwrap(), wrapped(1, 1));
    assert_eq!(under_test.beside().await.keys().get(&stream).await.unwrap(), Some(wrapped(1, 1)));
}

/// See its name.
pub async fn concurrent_makers_of_a_key_agree(under_test: impl LogUnderTest) {
    let beside = under_test.beside().await;
    let stream = stream();
    let mut tasks = Vec::new();
    for n in 0..20 {
        let keys = if n % 2 == 0 { under_test.keys() } else { beside.keys() };
        let stream = stream.clone();
        tasks.push(tokio::spawn(async move { keys.insert(&stream, wrapped(1, n)).await.unwrap() }));
    }
    let mut kept = Vec::new();
    for task in tasks {
        kept.push(task.await.unwrap());
    }
    assert!(kept.iter().all(|key| *key == kept[0]));
}

/// See its name.
pub async fn several_keys_are_read_in_their_order(under_test: impl LogUnderTest) {
    let (keys, streams) = (under_test.keys(), [stream(), stream(), stream()]);
    assert!(keys.get_many(&[]).await.unwrap().is_empty());
    assert_eq!(keys.get_many(&streams).await.unwrap(), [None, None, None]);
    keys.insert(&streams[2], wrapped(1, 3)).await.unwrap();
    keys.erase(&streams[0]).await.unwrap();
    let expected = [Some(WrappedKey::Erased), None, Some(wrapped(1, 3))];
    assert_eq!(under_test.beside().await.keys().get_many(&streams).await.unwrap(), expected);
}

/// See its name.
pub async fn several_keys_are_kept_once_each(under_test: impl LogUnderTest) {
    let (keys, streams) = (under_test.keys(), [stream(), stream(), stream(), stream()]);
    assert!(keys.insert_many(&[]).await.unwrap().is_empty());
    keys.insert(&streams[1], wrapped(1, 9)).await.unwrap();
    keys.erase(&streams[2]).await.unwrap();
    let mut several: Vec<_> = (0..).zip(&streams).map(|(n, stream)| (stream.clone(), wrapped(2, n))).collect();
    several.push((streams[3].clone(), wrapped(2, 7)));
    let kept = keys.insert_many(&several).await.unwrap();
    assert_eq!(kept[..3], [wrapped(2, 0), wrapped(1, 9), WrappedKey::Erased]);
    assert_eq!(kept[3], kept[4], "of a stream that is named twice one is kept");
    assert_eq!(keys.insert_many(&several).await.unwrap(), kept);
    let read = under_test.beside().await.keys().get_many(&streams).await.unwrap();
    assert_eq!(read, kept[..4].iter().cloned().map(Some).collect::<Vec<_>>());
}

/// See its name.
pub async fn concurrent_makers_of_several_keys_agree(under_test: impl LogUnderTest) {
    let beside = under_test.beside().await;
    let streams: Vec<_> = (0..50).map(|_| stream()).collect();
    let mut tasks = Vec::new();
    for n in 0..10 {
        let keys = if n % 2 == 0 { under_test.keys() } else { beside.keys() };
        let mut several: Vec<_> = streams.iter().map(|stream| (stream.clone(), wrapped(1, n))).collect();
        // Each begins somewhere else, and half of them go backwards.
        several.rotate_left(usize::from(n) * 5);
        if n % 3 == 0 {
            several.reverse();
        }
        tasks.push(tokio::spawn(async move {
            let kept = keys.insert_many(&several).await.unwrap();
            let named = several.into_iter().map(|(stream, _)| stream.to_string());
            named.zip(kept).collect::<std::collections::BTreeMap<_, _>>()
        }));
    }
    let mut kept = Vec::new();
    for task in tasks {
        kept.push(task.await.unwrap());
    }
    assert!(kept.iter().all(|of| *of == kept[0]));
}

/// See its name.
pub async fn an_erased_key_stays_erased(under_test: impl LogUnderTest) {
    let (keys, stream) = (under_test.keys(), stream());
    keys.insert(&stream, wrapped(1, 1)).await.unwrap();
    keys.erase(&stream).await.unwrap();
    keys.erase(&stream).await.unwrap();
    assert_eq!(keys.get(&stream).await.unwrap(), Some(WrappedKey::Erased));
    assert_eq!(keys.insert(&stream, wrapped(1, 2)).await.unwrap(), WrappedKey::Erased);
    keys.rewrap(&stream, wrapped(2, 3)).await.unwrap();
    assert_eq!(under_test.beside().await.keys().get(&stream).await.unwrap(), Some(WrappedKey::Erased));
}

/// See its name.
pub async fn a_stream_without_a_key_can_be_erased(under_test: impl LogUnderTest) {
    let (keys, stream) = (under_test.keys(), stream());
    keys.erase(&stream).await.unwrap();
    assert_eq!(keys.insert(&stream, wrapped(1, 1)).await.unwrap(), WrappedKey::Erased);
}

/// See its name.
pub async fn a_rewrapped_key_takes_the_place_of_the_old_one(under_test: impl LogUnderTest) {
    let (keys, stream) = (under_test.keys(), stream());
    keys.insert(&stream, wrapped(1, 1)).await.unwrap();
    keys.rewrap(&stream, wrapped(2, 9)).await.unwrap();
    assert_eq!(keys.get(&stream).await.unwrap(), Some(wrapped(2, 9)));
}

/// See its name.
pub async fn keys_under_other_ring_keys_are_listed_in_pages(under_test: impl LogUnderTest) {
    let keys = under_test.keys();
    let streams: Vec<_> = (0..5).map(|_| stream()).collect();
    for (n, stream) in streams.iter().enumerate() {
        keys.insert(stream, wrapped(if n == 0 { 2 } else { 1 }, 1)).await.unwrap();
    }
    keys.erase(&streams[1]).await.unwrap();
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = keys.list_not_under(2, after.as_deref(), 2).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        found.extend(page);
    }
    let mut expected: Vec<_> = streams[2..].iter().map(|stream| (stream.to_string(), wrapped(1, 1))).collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found, expected);
}

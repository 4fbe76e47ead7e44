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

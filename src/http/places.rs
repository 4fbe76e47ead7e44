//! How many connections there may be, in total and of one source.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use domain::values::Origin;
use ipnet::IpNet;

/// The places for connections.
#[derive(Debug)]
pub struct Places {
    total: usize,
    per_source: usize,
    /// Proxies of ours: they bring everybody's connections.
    proxies: Vec<IpNet>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_source: HashMap<String, usize>,
}

/// The place of one connection, free again when dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    /// Whose it is; nobody's in particular when a proxy brings it.
    source: Option<String>,
}

impl Places {
    /// So many, of which one source has at most so many unless it is a proxy of ours.
    pub fn new(total: usize, per_source: usize, proxies: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { total, per_source, proxies, taken: Mutex::default() })
    }

    /// A place for a connection from there, when there is one.
    pub fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        let is_proxy = self.proxies.iter().any(|net| net.contains(&peer));
        // As everywhere where sources are counted: an IPv6 client has its whole /64.
        let source = (!is_proxy).then(|| Origin { ip: Some(peer), ..Origin::default() }.network());
        let refused = |reason| {
            metrics::counter!("countersign_http_connections_refused_total", "reason" => reason).increment(1);
            None
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.total >= self.total {
            return refused("total");
        }
        if let Some(source) = &source {
            let of_source = taken.by_source.get(source).copied().unwrap_or(0);
            if of_source >= self.per_source {
                return refused("source");
            }
            taken.by_source.insert(source.clone(), of_source + 1);
        }
        taken.total += 1;
        metrics::gauge!("countersign_http_connections").increment(1);
        Some(Place { places: Arc::clone(self), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total -= 1;
        metrics::gauge!("countersign_http_connections").decrement(1);
        if let Some(source) = &self.source
            && let Some(of_source) = taken.by_source.get_mut(source)
        {
            *of_source -= 1;
            if *of_source == 0 {
                taken.by_source.remove(source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn take(places: &Arc<Places>, peer: &str) -> Option<Place> {
        places.take(peer.parse().unwrap())
    }

    #[test]
    fn a_source_has_its_share_and_no_more() {
        let places = Places::new(100, 2, Vec::new());
        let (first, _second) = (take(&places, "203.0.113.1").unwrap(), take(&places, "::ffff:203.0.113.1").unwrap());
        assert!(take(&places, "203.0.113.1").is_none());
        let _other = take(&places, "203.0.113.2").unwrap();
        drop(first);
        assert!(take(&places, "203.0.113.1").is_some());
        let _six = (take(&places, "2001:db8::1").unwrap(), take(&places, "2001:db8::2").unwrap());
        assert!(take(&places, "2001:db8::3").is_none(), "one network of IPv6 is one source");
        assert!(take(&places, "2001:db8:0:1::1").is_some());
    }

    #[test]
    fn a_proxy_of_ours_is_held_to_the_total_alone() {
        let places = Places::new(3, 1, vec!["10.0.0.0/8".parse().unwrap()]);
        let held: Vec<_> = (0..3).map(|_| take(&places, "::ffff:10.0.0.1").unwrap()).collect();
        assert!(take(&places, "10.0.0.1").is_none() && take(&places, "203.0.113.1").is_none());
        drop(held);
        assert!(take(&places, "203.0.113.1").is_some());
        let taken = places.taken.lock().unwrap();
        assert!(taken.total == 0 && taken.by_source.is_empty(), "what is free again is forgotten");
    }
}

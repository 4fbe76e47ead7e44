//! A property over stories in which nothing happens would prove nothing: how far the random stories reach.

use std::collections::BTreeMap;

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::{
    properties::{World, policy},
    steps::step,
};

#[test]
fn the_stories_reach_far_enough() {
    let mut runner = TestRunner::deterministic();
    let mut names: BTreeMap<&'static str, u32> = BTreeMap::new();
    let mut told: BTreeMap<&'static str, [u32; 2]> = BTreeMap::new();
    for _ in 0..220 {
        let policy = policy().new_tree(&mut runner).unwrap().current();
        let steps = prop::collection::vec(step(), 120).new_tree(&mut runner).unwrap().current();
        let mut world = World::new(policy);
        for step in &steps {
            world.take(step);
        }
        for (event, _) in &world.seen.history {
            *names.entry(event.name()).or_default() += 1;
        }
        for (name, [accepted, refused]) in world.told {
            let sum = told.entry(name).or_default();
            *sum = [sum[0] + accepted, sum[1] + refused];
        }
        *names.entry("capped").or_default() += u32::from(world.scene.state.tallies.others.reached_cap);
    }
    for name in [
        "VerificationSucceeded",
        "CodeRejected",
        "MethodLocked",
        "MethodUnlocked",
        "RecoveryCodeUsed",
        "CodeResent",
        "MethodEnabled",
        "MethodDisabled",
        "RecoveryCodesGenerated",
        "TwoFactorDisabled",
        "TwoFactorReset",
        "PasswordSet",
        "SmsEnrollmentStarted",
        "capped",
    ] {
        assert!(names.get(name).copied().unwrap_or_default() >= 3, "{name} in {names:?}");
    }
    for name in ["StartCheck", "CheckAndAct", "OfferTotpKey", "EnableOfferedTotp", "ChangeMethod"] {
        let [accepted, refused] = told.get(name).copied().unwrap_or_default();
        assert!(accepted >= 20 && refused >= 20, "{name}: {accepted} accepted and {refused} refused");
    }
}

//! The steps of random stories.

use proptest::prelude::*;

/// How a code is chosen.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Right,
    Wrong,
    /// One that was right before.
    Old,
}

/// One step of a story. Numbers choose among what there is then.
#[derive(Debug, Clone)]
pub enum Step {
    Wait(u32),
    SignIn(bool),
    Start(u8, u8),
    Send(u8, bool, u8),
    Resend(u8),
    Submit(u8, u8, u8, Answer),
    Recover(u8, u8),
    EnrollApp(u8),
    EnrollPhone(u8, u8),
    Enable(u8, Answer),
    Disable(u8, u8),
    Regenerate(u8),
    ForgetPassword,
    ResetPassword(Answer, u8, Answer),
    Unlock(u8),
    Reset,
    EndSession,
    /// By whom, without a purpose or to add a method, kind, method.
    Check(u8, bool, u8, u8),
    /// By whom, what, kind, method, with a verification that was started for it or alone.
    Act(u8, u8, u8, u8, bool, Answer),
    /// The app that was set up with what is offered.
    AddOffered(u8, Answer),
    /// By whom an offer is asked for.
    Offer(u8),
    /// By whom, which method, whether it gets a name, and whether it becomes the primary one.
    Change(u8, u8, bool, bool),
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![3 => Just(Answer::Right), 4 => Just(Answer::Wrong), 1 => Just(Answer::Old)]
}

/// Any step.
pub fn step() -> impl Strategy<Value = Step> {
    let n = || any::<u8>();
    prop_oneof![
        5 => prop_oneof![4 => 0..40_u32, 3 => 30..1_000_u32, 1 => 900..200_000_u32].prop_map(Step::Wait),
        4 => any::<bool>().prop_map(Step::SignIn),
        4 => (n(), n()).prop_map(|(by, purpose)| Step::Start(by, purpose)),
        5 => (n(), any::<bool>(), n()).prop_map(|(id, by_text, method)| Step::Send(id, by_text, method)),
        3 => n().prop_map(Step::Resend),
        24 => (n(), n(), n(), answer()).prop_map(|(id, kind, method, code)| Step::Submit(id, kind, method, code)),
        2 => (n(), n()).prop_map(|(id, code)| Step::Recover(id, code)),
        1 => n().prop_map(Step::EnrollApp),
        2 => (n(), n()).prop_map(|(by, number)| Step::EnrollPhone(by, number)),
        4 => (n(), answer()).prop_map(|(id, code)| Step::Enable(id, code)),
        1 => (n(), n()).prop_map(|(by, method)| Step::Disable(by, method)),
        1 => n().prop_map(Step::Regenerate),
        1 => Just(Step::ForgetPassword),
        3 => (answer(), n(), answer()).prop_map(|(mail, kind, code)| Step::ResetPassword(mail, kind, code)),
        1 => n().prop_map(Step::Unlock),
        1 => proptest::bool::weighted(0.2).prop_map(|rare| if rare { Step::Reset } else { Step::Wait(1) }),
        1 => Just(Step::EndSession),
        3 => (n(), any::<bool>(), n(), n()).prop_map(|(by, open, kind, method)| Step::Check(by, open, kind, method)),
        8 => (n(), n(), n(), n(), any::<bool>(), answer())
            .prop_map(|(by, act, kind, method, alone, code)| Step::Act(by, act, kind, method, alone, code)),
        3 => (n(), answer()).prop_map(|(by, code)| Step::AddOffered(by, code)),
        1 => n().prop_map(Step::Offer),
        2 => (n(), n(), any::<bool>(), any::<bool>())
            .prop_map(|(by, method, label, primary)| Step::Change(by, method, label, primary)),
    ]
}

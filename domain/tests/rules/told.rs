//! What the owner is told of sign-ins: one that nobody finished, one from a new place. And of an erasure.

use domain::{
    account::sign_in_begun,
    commands::Command,
    events::*,
    farewell::{Farewell, OrderFarewell},
    outcome::{Outcome, Refusal},
    personal::Personal,
    state::Account,
    time::{Seconds, Timestamp},
    values::*,
};

use crate::{event_of, histories::*, kit::*};

const END: Seconds = Seconds::minutes(15);

fn note() -> Command {
    Command::NoteUnfinishedSignIn { verification_id: CHECK }
}

fn begun() -> Scene<Account> {
    given(an_account_with_totp().into_iter().chain([signing_in(CHECK)])).by(Caller::Worker)
}

fn unfinished() -> Event {
    SignInUnfinished { verification_id: CHECK }.into()
}

#[test]
fn a_right_password_without_its_second_factor_is_told_once_its_end_is_past() {
    begun().at(just_before(after(END))).when(note()).then([]).telling(&Outcome::Done);
    let told = begun().at(after(END)).when(note()).then([unfinished()]).telling(&Outcome::Done);
    told.next().when(note()).then([]);
    let wrong_codes = wrong(FactorKind::Totp, 1, 1);
    begun().then_at(START, [wrong_codes]).at(after(END)).when(note()).then([unfinished()]);
}

#[test]
fn a_sign_in_that_was_finished_or_began_otherwise_is_nothing_to_tell() {
    let finished = begun().then_at(START, [completed(CHECK, Purpose::SignIn, START)]);
    finished.at(after(END)).when(note()).then([]);
    let by_token = started(CHECK, Purpose::SignIn, Some(Credential::AccessToken(TOKEN)));
    for other in [by_token.into(), checking(CHECK, Purpose::DisableMethod)] {
        assert_eq!(sign_in_begun(&other), None);
        let scene = given(an_account_with_totp().into_iter().chain([other])).by(Caller::Worker);
        scene.at(after(END)).when(note()).then([]);
    }
    given(an_account_with_totp()).by(Caller::Worker).at(after(END)).when(note()).then([]);
    assert_eq!(sign_in_begun(&signing_in(CHECK)), Some((CHECK, after(END))));
}

#[test]
fn the_owner_is_told_once_a_day_at_most_and_never_of_the_same_one_twice() {
    let told = begun().then_at(START, [signing_in(OTHER_CHECK)]).at(after(END)).when(note()).then([unfinished()]);
    let other = Command::NoteUnfinishedSignIn { verification_id: OTHER_CHECK };
    let a_day_later = after(Seconds(END.0 + Seconds::days(1).0));
    told.next().at(just_before(a_day_later)).when(other).then([]).next().at(a_day_later).when(note()).then([]);
    // One that ended a day ago is no news to somebody who was never told either.
    begun().at(just_before(a_day_later)).when(note()).then([unfinished()]);
    begun().at(a_day_later).when(note()).then([]);
    let later = |at: Timestamp| VerificationStarted {
        expires_at: at.plus(END),
        first_factor: vec![Amr::Pwd],
        ..started(OTHER_CHECK, Purpose::SignIn, None)
    };
    let again = begun().then_at(after(END), [unfinished()]).then_at(a_day_later, [later(a_day_later).into()]);
    let told = again.at(a_day_later.plus(END)).when(Command::NoteUnfinishedSignIn { verification_id: OTHER_CHECK });
    told.then([SignInUnfinished { verification_id: OTHER_CHECK }.into()]);
}

#[test]
fn only_a_worker_notes_it_and_only_of_an_account_that_is_there() {
    for caller in [SIGNED_IN, Caller::Anonymous, Caller::Operator, support(), product()] {
        begun().at(after(END)).by(caller).when(note()).refused(Refusal::Forbidden);
    }
    let erased = begun().then_at(START, [AccountErased { verification_id: None }.into()]);
    erased.at(after(END)).when(note()).refused(Refusal::NotFound);
}

fn from_an_unknown_network(scene: Scene<Account>) -> Scene<Account> {
    Scene { is_known_network: false, ..scene }
}

fn with_device(scene: Scene<Account>, token: u8) -> Scene<Account> {
    let device = Some(PresentedDevice { id: DEVICE, token_hash: hash_of(token) });
    Scene { origin: Origin { device, ..scene.origin.clone() }, ..scene }
}

fn is_new_place(told: &Told<Account>) -> bool {
    event_of!(told, SignedIn).is_new_place
}

#[test]
fn a_sign_in_from_a_network_and_a_device_that_were_not_seen_is_told() {
    let scene = given(an_account());
    let told = from_an_unknown_network(scene.clone()).when(sign_in(PASSWORD));
    assert!(is_new_place(&told) && told.asked_for_network == 1);
    let told = scene.clone().when(sign_in(PASSWORD));
    assert!(!is_new_place(&told) && told.asked_for_network == 1);
    let known = given(an_account().into_iter().chain([remembered(DEVICE, SESSION)]));
    let told = from_an_unknown_network(with_device(known.clone(), 3)).when(sign_in(PASSWORD));
    assert!(!is_new_place(&told) && told.asked_for_network == 0, "a known device says enough");
    let told = from_an_unknown_network(with_device(known, 4)).when(sign_in(PASSWORD));
    assert!(is_new_place(&told), "a device's id alone says nothing");
}

#[test]
fn the_network_is_asked_for_where_a_session_begins_and_nowhere_else() {
    let at = after(Seconds(60));
    let code = || code_at(1, at);
    let second = given(an_account_with_totp().into_iter().chain([signing_in(CHECK)])).by(CHECKED).at(at);
    let told = from_an_unknown_network(second.clone()).when(submit(CHECK, FactorKind::Totp, &code()));
    assert!(is_new_place(&told) && told.asked_for_network == 1);
    let wrong = second.when(submit(CHECK, FactorKind::Totp, &wrong_totp(1, at)));
    assert_eq!(wrong.asked_for_network, 0, "a wrong code is told as fast as ever");
    let check = given(an_account_with_totp().into_iter().chain([checking(CHECK, Purpose::DisableMethod)]));
    let told = from_an_unknown_network(check.by(SIGNED_IN).at(at)).when(submit(CHECK, FactorKind::Totp, &code()));
    assert_eq!(told.accepted().asked_for_network, 0);
}

#[test]
fn a_first_sign_in_and_one_of_an_api_client_have_nothing_to_compare_with() {
    let first = from_an_unknown_network(given([registered(), confirmed()]));
    let told = first.when(sign_in(PASSWORD));
    assert!(!is_new_place(&told) && told.asked_for_network == 0);
    let again = from_an_unknown_network(told.next()).when(sign_in(PASSWORD));
    assert!(is_new_place(&again));

    let client = client(&[Scope::AccountsWrite, Scope::SessionsIssue]);
    let told = from_an_unknown_network(given(an_account()).by(client)).when(sign_in(PASSWORD));
    assert!(!is_new_place(&told) && told.asked_for_network == 0, "its people all come from its own network");
    let client = Scene { caller: told.scene.caller.clone(), ..from_an_unknown_network(given(an_account())) };
    let origin = Origin { end_user_ip: Some([198, 51, 100, 7].into()), ..client.origin.clone() };
    assert!(is_new_place(&Scene { origin, ..client }.when(sign_in(PASSWORD))), "unless it says whose");
}

#[test]
fn the_notice_of_an_erasure_is_ordered_once_and_lives_a_day() {
    let order = || OrderFarewell { account_id: ACCOUNT, to: vec![email(), new_email()] };
    let expires_at = after(Seconds::hours(24));
    let addresses = vec![Personal::Known(email()), Personal::Known(new_email())];
    let ordered = FarewellOrdered { account_id: ACCOUNT, addresses, expires_at };
    let told = given_on::<Farewell>([]).by(Caller::Worker).when(order()).then([ordered.into()]);
    told.next().at(after(Seconds::days(9))).when(order()).then([]).telling(&Outcome::Done);
    let nobody = OrderFarewell { account_id: ACCOUNT, to: Vec::new() };
    given_on::<Farewell>([]).by(Caller::Worker).when(nobody).then([]);
    for caller in [SIGNED_IN, support(), Caller::Anonymous] {
        given_on::<Farewell>([]).by(caller).when(order()).refused(Refusal::Forbidden);
    }
}

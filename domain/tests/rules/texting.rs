//! Who is texted at all: kinds of numbers, countries, prefixes. What keeps texts from being turned into money.

use domain::{
    commands::Command, limits::LimitName, outcome::Refusal, policy::Policy, state::Account, time::Seconds, values::*,
};

use crate::{histories::*, kit::*};

fn texting(to: &str) -> Command {
    Command::StartSmsEnrollment { phone_number: number(to) }
}
fn authorized_to_add() -> Scene<Account> {
    given(an_account_in_use().into_iter().chain(authorized(CHECK, Purpose::AddMethod))).by(SIGNED_IN)
}
fn signing_in_by_phone() -> Scene<Account> {
    given(an_account_with_sms().into_iter().chain([signing_in(CHECK)])).by(CHECKED)
}
fn codes(codes: &[&str]) -> Vec<Country> {
    codes.iter().map(|code| Country::parse(code).unwrap()).collect()
}

#[test]
fn mobile_numbers_of_many_countries_are_read_with_their_country_and_prefix() {
    for (text, country, prefix) in [
        ("+12012345678", "US", "+1201"),
        ("+14165551234", "CA", "+1416"),
        ("+18765551234", "JM", "+1876"),
        ("+447400123456", "GB", "+44740"),
        ("+447781123456", "GG", "+44778"),
        ("+33612345678", "FR", "+33612"),
        ("+41781234567", "CH", "+41781"),
        ("+393123456789", "IT", "+39312"),
        ("+79123456789", "RU", "+7912"),
        ("+77710009998", "KZ", "+7771"),
        ("+919876543210", "IN", "+91987"),
        ("+6281234567890", "ID", "+62812"),
        ("+5511961234567", "BR", "+55119"),
        ("+2348021234567", "NG", "+234802"),
        ("+971501234567", "AE", "+971501"),
    ] {
        let number = PhoneNumber::parse(text).unwrap();
        assert_eq!((number.country().0.as_str(), number.prefix().0.as_str()), (country, prefix), "{text}");
    }
}

#[test]
fn numbers_that_cost_extra_or_take_no_texts_are_refused_in_every_country() {
    for (kind, numbers) in [
        ("premium rate", &["+19002345678", "+449012345678", "+499001234567", "+33891123456", "+43900123456"][..]),
        ("premium rate", &["+41900123456", "+39899123456", "+611900123456", "+34803123456", "+979123456789"]),
        ("shared cost", &["+491801234567", "+448431234567", "+33820123456", "+41840123456", "+43810123456"]),
        ("toll free", &["+18002345678", "+448001234567", "+498001234567", "+33801234567", "+80012345678"]),
        ("personal", &["+447012345678", "+4970012345678", "+15002345678", "+41878123456"]),
        ("pager", &["+447640123456", "+4916412345678"]),
        ("company", &["+445512345678", "+81570123456"]),
        ("voice mail", &["+41860123456789"]),
        ("fixed line", &["+441212345678", "+4930123456", "+4314567890", "+97222123456"]),
        ("satellite", &["+870301234567", "+881612345678"]),
        ("no country's", &["+882161234567", "+883510012345678", "+878101234567890"]),
    ] {
        for text in numbers {
            let error = PhoneNumber::parse(text).unwrap_err();
            assert_eq!(error.to_string(), "must be a mobile number that can receive text messages", "{kind} {text}");
        }
    }
    for fictional in ["+15555550123", "+447700900123"] {
        assert!(PhoneNumber::parse(fictional).is_err(), "{fictional}");
    }
}

#[test]
fn with_allowed_countries_only_their_numbers_are_texted() {
    let scene = authorized_to_add().with_policy(|policy| policy.allowed_countries = codes(&["AT", "DE"]));
    for served in [NUMBER, THIRD_NUMBER] {
        scene.clone().when(texting(served)).then_named(&["SmsEnrollmentStarted", "CodeIssued"]);
    }
    for other in [OTHER_NUMBER, "+18765551234"] {
        scene.clone().when(texting(other)).refused_for("phone_number").needing_nothing();
    }
}

#[test]
fn numbers_of_blocked_countries_are_not_texted_allowed_or_not() {
    let scene = authorized_to_add().with_policy(|policy| policy.blocked_countries = codes(&["gb"]));
    scene.clone().when(texting(NUMBER)).accepted();
    scene.clone().when(texting(OTHER_NUMBER)).refused_for("phone_number").needing_nothing();
    let both = scene.with_policy(|policy| policy.allowed_countries = codes(&["GB", "AT"]));
    both.clone().when(texting(OTHER_NUMBER)).refused_for("phone_number");
    both.when(texting(NUMBER)).accepted();
}

#[test]
fn countries_that_share_a_calling_code_are_told_apart() {
    let scene = authorized_to_add().with_policy(|policy| policy.allowed_countries = codes(&["US"]));
    scene.clone().when(texting("+12012345678")).accepted();
    for other in ["+14165551234", "+18765551234", "+18092345678"] {
        scene.clone().when(texting(other)).refused_for("phone_number");
    }
}

#[test]
fn a_number_on_file_is_no_longer_texted_once_its_country_is_blocked() {
    let scene = signing_in_by_phone().with_policy(|policy| policy.blocked_countries = codes(&["AT"]));
    let told = scene.clone().when(send(CHECK, Channel::Sms)).needing_nothing();
    let refusal = told.refused_for("channel").decision.outcome.unwrap_err();
    let Refusal::Invalid { detail, .. } = refusal else { panic!("{refusal:?}") };
    assert_eq!(detail, "is of a country that no texts are sent to: choose another number or method");
    scene.when(send(CHECK, Channel::Email)).accepted();

    let sent = signing_in_by_phone().when(send(CHECK, Channel::Sms)).next().wait(Seconds(30));
    let blocked = sent.with_policy(|policy| policy.blocked_countries = codes(&["AT"]));
    blocked.when(resend(CHECK)).refused_for("channel");
}

#[test]
fn an_enrollment_in_progress_is_not_texted_again_once_its_country_is_blocked() {
    let scene = authorized_to_add().when(texting(NUMBER)).next().wait(Seconds(30));
    let blocked = scene.clone().with_policy(|policy| policy.blocked_countries = codes(&["AT"]));
    let again = || Command::ResendEnrollmentCode { method_id: domain::ids::MethodId(1) };
    blocked.clone().when(again()).refused_for("phone_number");
    blocked.when(texting(NUMBER)).refused_for("phone_number");
    scene.when(again()).accepted();
}

#[test]
fn texts_to_one_prefix_share_a_limit_over_all_accounts() {
    let told = signing_in_by_phone().when(send(CHECK, Channel::Sms)).charging(&TEXT_CHARGES);
    assert_eq!(told.charges()[2].subject, "+43660");
    signing_in_by_phone().when_full(LimitName::TextsPerPrefix).when(send(CHECK, Channel::Sms)).rate_limited_for(77);
    authorized_to_add().when_full(LimitName::TextsPerPrefix).when(texting(NUMBER)).rate_limited_for(77);
}

#[test]
fn countries_are_read_as_operators_write_them_and_typing_errors_are_refused() {
    let read = |json: &str| serde_json::from_str::<Policy>(json).map_err(|error| error.to_string());
    let policy = read("{\"allowed_countries\": [\"AT\", \"de\"], \"blocked_countries\": \"kp, cu\"}").unwrap();
    assert_eq!(policy.allowed_countries, codes(&["AT", "DE"]));
    assert_eq!(policy.blocked_countries, codes(&["KP", "CU"]));
    assert_eq!(read("{\"allowed_countries\": \"\"}").unwrap(), Policy::default());
    for wrong in ["UK", "EN", "Austria", "A", "ZZ", "001", "", "A T"] {
        let error = read(&format!("{{\"blocked_countries\": [{wrong:?}]}}")).unwrap_err();
        assert!(error.starts_with(&format!("{wrong:?} must be the two-letter code")), "{error}");
    }
    assert!(read("{\"blocked_countries\": 43}").unwrap_err().contains("a list of countries"));
    let written = serde_json::to_string(&policy).unwrap();
    assert_eq!(read(&written).unwrap(), policy, "what is written is read again");
}

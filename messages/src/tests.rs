#![expect(clippy::unwrap_used, reason = "tests")]

use domain::{
    secret::Secret,
    time::{Seconds, Timestamp},
    values::{FactorKind, MethodKind, Purpose},
};

use super::{Catalogue, Code, Hand, Language, Mail, Notice, Undo, in_gsm_7, is_one_part};

const PURPOSES: [Purpose; 10] = [
    Purpose::ConfirmEmail,
    Purpose::ConfirmNewEmail,
    Purpose::SignIn,
    Purpose::AddMethod,
    Purpose::Enroll,
    Purpose::DisableMethod,
    Purpose::RegenerateRecoveryCodes,
    Purpose::EraseAccount,
    Purpose::ResetPassword,
    Purpose::StepUp,
];

const ISSUER: &str = "Twenty Letters Corp.";
const UNDO: &str = "cs_undo_AZegscLTfk-LnAwdLj9KWwGXoLHC036";

fn at() -> Timestamp {
    "2026-11-24T05:37:12Z".parse().unwrap()
}

fn notices() -> Vec<Notice> {
    let reason = Some("lost phone, passport seen".to_owned());
    let mut all = vec![
        Notice::TwoFactorEnabled,
        Notice::TwoFactorDisabled,
        Notice::RecoveryCodesRegenerated,
        Notice::WrongCodes,
        Notice::WrongRecoveryCodes,
        Notice::AccountLocked,
        Notice::MethodRelabelled,
        Notice::PrimaryMethodChanged,
        Notice::SignInUnfinished,
        Notice::NewPlace { from: Some("203.0.113.7".to_owned()) },
        Notice::NewPlace { from: None },
        Notice::AccessTokenIssued { expires_at: at().plus(Seconds::days(365)) },
        Notice::Unlocked { reason: reason.clone() },
        Notice::Unlocked { reason: None },
        Notice::SessionsEnded { reason: reason.clone() },
        Notice::SessionsEnded { reason: None },
        Notice::ResetRequested { reason: reason.clone(), expires_at: at().plus(Seconds::hours(24)) },
        Notice::ResetRequested { reason: None, expires_at: at().plus(Seconds::hours(24)) },
        Notice::TwoFactorReset { reason },
        Notice::TwoFactorReset { reason: None },
        Notice::PasswordChanged,
        Notice::PasswordReset,
        Notice::EmailChangedFrom { undo: None },
        Notice::EmailChangedFrom { undo: Some(undo()) },
        Notice::EmailChangedTo,
        Notice::EmailChangeUndone,
        Notice::EmailChangeUndoneFrom,
        Notice::ChangesFrozen { until: at().plus(Seconds::hours(24)) },
        Notice::ChangesUnfrozen,
        Notice::AccountErased,
    ];
    for by in [Hand::Session, Hand::AccessToken, Hand::Application] {
        all.extend([MethodKind::Totp, MethodKind::Sms].map(|kind| Notice::MethodEnabled { kind, by }));
    }
    all.extend([MethodKind::Totp, MethodKind::Sms].map(|kind| Notice::MethodDisabled { kind }));
    all.extend([0, 1, 9].map(|remaining| Notice::RecoveryCodeUsed { remaining }));
    all.extend(
        [FactorKind::Totp, FactorKind::Sms, FactorKind::Email]
            .map(|kind| Notice::MethodLocked { kind, locked_until: at().plus(Seconds::minutes(15)) }),
    );
    all
}

fn undo() -> Undo {
    Undo { token: Secret::new(UNDO.to_owned()), until: at().plus(Seconds::days(7)) }
}

fn catalogues(domain: Option<&str>) -> impl Iterator<Item = Catalogue> {
    Language::ALL.into_iter().map(move |language| Catalogue::new(language, ISSUER, domain))
}

fn whole(mail: &Mail) -> String {
    format!("{}\n{}", mail.subject, mail.body.expose())
}

/// What is read of a body, without markup, subject line and heading.
fn words_of(body: &str) -> Vec<String> {
    let text = body.split_once("</strong></p>").map_or(body, |(_, rest)| rest);
    let mut words = String::new();
    let mut in_tag = false;
    for c in text.chars() {
        match c {
            '<' => in_tag = true,
            '>' => in_tag = false,
            c if !in_tag => words.push(c),
            _ => {}
        }
    }
    let words = words.replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
    words.split_whitespace().map(str::to_owned).collect()
}

fn nothing_left_over(text: &str) {
    for remains in ["{", "}", "%", "  )", "TODO", "None", "Some(", "  .", " .", "\n\n\n"] {
        assert!(!text.contains(remains), "{remains:?} in {text}");
    }
    assert!(!text.ends_with(' '), "{text}");
}

#[test]
fn every_purpose_has_a_text_message_of_one_part_that_says_what_its_code_is_for() {
    let digits = Secret::new("123456".to_owned());
    for catalogue in catalogues(Some("accounts.example.com")) {
        let mut seen = std::collections::BTreeSet::new();
        for purpose in PURPOSES {
            let code =
                Code { digits: &digits, purpose, action: None, now: at(), expires_at: at().plus(Seconds::minutes(10)) };
            let text = catalogue.code_sms(&code);
            let text = text.expose();
            assert!(text.chars().count() <= 160, "{} characters: {text}", text.chars().count());
            assert!(in_gsm_7(text), "{text}");
            assert!(text.contains("Valid 10 min") && text.contains(ISSUER), "{text}");
            assert_eq!(text.lines().last(), Some("@accounts.example.com #123456"));
            nothing_left_over(text);
            assert!(seen.insert(text.clone()), "two purposes read alike: {text}");
        }
    }
}

#[test]
fn a_text_message_gives_up_the_action_and_then_the_domain_before_it_needs_a_second_part() {
    let digits = Secret::new("123456".to_owned());
    let code = |action| Code { digits: &digits, purpose: Purpose::StepUp, action, now: at(), expires_at: at() };
    let text = |domain: Option<&str>, action| {
        Catalogue::new(Language::En, ISSUER, domain).code_sms(&code(action)).expose().clone()
    };
    let long = "x".repeat(200);
    assert!(text(None, Some("pay 20 EUR")).contains("confirm an action \"pay 20 EUR\""));
    let without_action = text(Some("example.com"), Some(&long));
    assert!(!without_action.contains('x') || !without_action.contains("xx"));
    assert!(without_action.ends_with("@example.com #123456"));
    let foreign = text(Some("example.com"), Some("платёж"));
    assert!(in_gsm_7(&foreign) && foreign.ends_with("@example.com #123456"), "one letter would halve the room");
    let without_domain = text(Some(&format!("{long}.example.com")), Some(&long));
    assert!(!without_domain.contains('@') && without_domain.chars().count() <= 160);
    let name = Catalogue::new(Language::En, &long, None).code_sms(&code(None));
    assert!(name.expose().chars().count() <= 160);
}

#[test]
fn the_domain_bound_line_names_the_host_of_the_site_and_only_a_domain_name() {
    for (site, host) in [
        ("https://accounts.Example.com/sign-in?x=1", Some("accounts.example.com")),
        ("https://accounts.example.com:8443", Some("accounts.example.com")),
        ("example.com", Some("example.com")),
        ("http://127.0.0.1:8080", None),
        ("http://[::1]:8080", None),
        ("http://localhost:8080", None),
        ("", None),
    ] {
        assert_eq!(super::domain_of(site).as_deref(), host, "{site}");
    }
}

#[test]
fn every_purpose_has_a_mail_that_says_what_for_until_when_and_what_if_it_was_not_you() {
    let digits = Secret::new("654321".to_owned());
    for catalogue in catalogues(None) {
        for purpose in PURPOSES {
            let expires_at = at().plus(Seconds::minutes(10));
            let code = Code { digits: &digits, purpose, action: None, now: at().plus(Seconds(2)), expires_at };
            let mail = catalogue.code_mail(&code);
            assert!(!mail.subject.contains("654321"), "no code in a subject");
            let body = mail.body.expose();
            assert!(body.contains("\n    654321\n"), "{body}");
            assert!(body.contains("10 minutes") && body.contains("24 November 2026 at 05:47 UTC"), "{body}");
            assert!(body.contains("If "), "{body}");
            let html = mail.html.expose();
            assert!(html.contains(">654321</p>") && html.contains("lang=\"en\"") && !mail.subject.contains('<'));
            assert_eq!(words_of(html), words_of(body), "both bodies say the same");
            nothing_left_over(&whole(&mail));
        }
        let code = Code {
            digits: &digits,
            purpose: Purpose::StepUp,
            action: Some("close the shop"),
            now: at(),
            expires_at: at().plus(Seconds(20)),
        };
        let mail = catalogue.code_mail(&code);
        assert!(mail.html.expose().contains("(&quot;close the shop&quot;)"));
        assert!(mail.body.expose().contains("\"close the shop\"") && mail.body.expose().contains("1 minute,"));
        assert!(!mail.subject.contains("shop"), "nothing a client entered is in a subject");
    }
}

#[test]
fn every_notice_says_what_happened_when_and_what_to_do_if_it_was_not_you() {
    for catalogue in catalogues(None) {
        for notice in notices() {
            let mail = catalogue.notice_mail(&notice, at());
            let body = mail.body.expose();
            assert!(body.contains("When: 24 November 2026 at 05:37 UTC"), "{body}");
            assert!(body.contains("If this was not you") || body.contains("If you did not ask"), "{body}");
            assert!(mail.subject.contains(ISSUER));
            assert_eq!(words_of(mail.html.expose()), words_of(body));
            nothing_left_over(&whole(&mail));
        }
        let reset = Notice::TwoFactorReset { reason: Some("lost phone".to_owned()) };
        assert!(catalogue.notice_mail(&reset, at()).body.expose().contains("lost phone"));
        let used = Notice::RecoveryCodeUsed { remaining: 7 };
        assert!(catalogue.notice_mail(&used, at()).body.expose().contains("7 codes are left"));
    }
}

#[test]
fn every_notice_has_a_text_message_of_one_part_that_says_what_happened_and_when() {
    for catalogue in catalogues(Some("accounts.example.com")) {
        let mut seen = std::collections::BTreeSet::new();
        for notice in notices() {
            let text = catalogue.notice_sms(&notice, at());
            let text = text.expose();
            assert!(in_gsm_7(text) && is_one_part(text), "{} characters: {text}", text.chars().count());
            assert!(text.starts_with(ISSUER) && text.contains("24 November 2026 at 05:37 UTC"), "{text}");
            assert!(text.contains("If this was not you"), "{text}");
            // A lock screen shows it to everybody: nothing of the person, no reason, no token.
            for private in ["passport", "203.0.113.7", "cs_undo_"] {
                assert!(!text.contains(private), "{text}");
            }
            nothing_left_over(text);
            seen.insert(text.clone());
        }
        assert!(seen.len() > 20, "notices read alike");
    }
    let long = Catalogue::new(Language::En, "Платёжная система", None).notice_sms(&Notice::PasswordChanged, at());
    assert!(
        long.expose().starts_with("Your password") && is_one_part(long.expose()),
        "one letter would halve the room"
    );
}

#[test]
fn no_subject_holds_anything_of_a_person() {
    for catalogue in catalogues(None) {
        for notice in notices() {
            let subject = catalogue.notice_mail(&notice, at()).subject;
            for private in ["passport", "203.0.113.7", "cs_undo_", "@"] {
                assert!(!subject.contains(private), "{subject}");
            }
        }
    }
}

#[test]
fn a_changed_address_is_told_the_way_back_where_there_is_one() {
    for catalogue in catalogues(None) {
        let mail = catalogue.notice_mail(&Notice::EmailChangedFrom { undo: Some(undo()) }, at());
        let body = mail.body.expose();
        assert!(body.contains(&format!("\n    {UNDO}\n")) && body.contains("1 December 2026 at 05:37 UTC"), "{body}");
        assert!(mail.html.expose().contains(UNDO));
        let without = catalogue.notice_mail(&Notice::EmailChangedFrom { undo: None }, at());
        assert!(!without.body.expose().contains("cs_undo_"));
        assert!(!format!("{:?}", undo()).contains(UNDO));
    }
}

#[test]
fn mail_to_a_held_address_says_to_sign_in_or_reset_and_holds_no_code() {
    for catalogue in catalogues(None) {
        for purpose in [Purpose::ConfirmEmail, Purpose::ConfirmNewEmail] {
            let mail = catalogue.held_address_mail(purpose, at());
            let body = mail.body.expose();
            assert!(body.contains("already have an account") && body.contains("sign in") && body.contains("reset"));
            nothing_left_over(&whole(&mail));
        }
    }
}

#[test]
fn the_prompt_for_an_app_says_to_wait_after_a_code_was_used() {
    for catalogue in catalogues(None) {
        assert!(catalogue.totp_prompt().contains("Wait for a new code if you just used one"));
    }
}

#[test]
fn a_mail_does_not_show_itself_in_debug_output() {
    let mail = Catalogue::new(Language::En, "A\r\nB", None).held_address_mail(Purpose::ConfirmEmail, at());
    assert_eq!(format!("{mail:?}"), "[mail]");
    assert_eq!(mail.subject, "You already have an account at AB", "line ends cannot reach a header");
}

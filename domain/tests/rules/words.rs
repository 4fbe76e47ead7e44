//! Values as people enter them; times, ids and names of streams; what `Debug` shows.

use std::net::IpAddr;

use domain::{
    commands::{AccountImport, Command},
    evidence::{AddressClaim, Allowance, Need, PasswordMatches},
    ids::*,
    limits::{Charge, LimitName},
    outcome::{CodeSent, MethodView, OfferedMethod, TotpEnrollment},
    personal::Personal,
    policy::Limit,
    secret::{Secret, TokenHash, from_hex, to_hex},
    time::{Seconds, Timestamp},
    values::*,
};
use uuid::Uuid;

use crate::{any::Any, histories::*, kit::*};

#[test]
fn addresses_are_read_as_people_enter_them() {
    for (typed, read) in [
        ("ada@example.com", "ada@example.com"),
        ("  Ada.Lovelace+2fa@Example.COM ", "Ada.Lovelace+2fa@example.com"),
        ("a@b.c", "a@b.c"),
        ("!#$%&'*+-/=?^_`{|}~@x-y.example", "!#$%&'*+-/=?^_`{|}~@x-y.example"),
    ] {
        assert_eq!(EmailAddress::parse(typed).unwrap().as_str(), read);
    }
    let long_local = "a".repeat(64);
    assert!(EmailAddress::parse(&format!("{long_local}@example.com")).is_ok());
    assert!(EmailAddress::parse(&format!("a@{}.com", "b".repeat(63))).is_ok());
    let label = "b".repeat(61);
    let longest = format!("{long_local}@{label}.{label}.{label}.com");
    assert_eq!(longest.len(), 254);
    assert!(EmailAddress::parse(&longest).is_ok());
    assert!(EmailAddress::parse(&longest.replacen(".com", ".info", 1)).is_err());
}

#[test]
fn what_is_no_address_is_refused_without_repeating_it() {
    for typed in [
        "",
        "@",
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "ada@@example.com",
        "a b@example.com",
        ".a@example.com",
        "a.@example.com",
        "a..b@example.com",
        "a@-example.com",
        "a@example-.com",
        "a@example..com",
        "a@.com",
        "ä@example.com",
        "a@exämple.com",
        "a@example.com\nbcc: b@example.com",
        "\"a b\"@example.com",
        "<a@example.com>",
        "a@[192.0.2.1]",
        "a,b@example.com",
        "a\u{0}@example.com",
    ] {
        let error = EmailAddress::parse(typed).unwrap_err();
        assert_eq!(error.to_string(), "must be an email address such as name@example.com");
    }
    assert!(EmailAddress::parse(&format!("{}@example.com", "a".repeat(65))).is_err());
    assert!(EmailAddress::parse(&format!("a@{}.com", "b".repeat(64))).is_err());
}

#[test]
fn one_mailbox_has_one_canonical_form_and_a_mask() {
    let one = EmailAddress::parse("Ada@Example.com").unwrap();
    assert_eq!(one.canonical(), EmailAddress::parse("aDA@eXAMPLE.COM").unwrap().canonical());
    assert_eq!(one.masked(), "A•••@example.com");
}

#[test]
fn phone_numbers_have_one_spelling() {
    for typed in [NUMBER, OTHER_NUMBER, THIRD_NUMBER, "+436641234567", " +436601234567 "] {
        assert_eq!(PhoneNumber::parse(typed).unwrap().as_str(), typed.trim());
    }
    // Each of these reaches a phone that has another, shorter name.
    for typed in ["+4306601234567", "+43 660 1234567", "+4407400123456", "00436601234567", "06601234567"] {
        assert!(PhoneNumber::parse(typed).is_err(), "{typed}");
    }
}

#[test]
fn numbers_that_cannot_get_a_text_are_refused() {
    for typed in [
        "",
        "+",
        "+1",
        "+123456",
        "+43660",
        "+9991234567",
        "+43660123456789012",
        "+43660123456a",
        "+٤٣٦٦٠١٢٣٤٥٦٧",
        // Toll free, premium rate, a personal number.
        "+447012345678",
        "+18005550199",
        "+43900123456",
        "+448001111111",
        "+449012345678",
    ] {
        assert!(PhoneNumber::parse(typed).is_err(), "{typed}");
    }
}

#[test]
fn country_and_prefix_are_facts_in_clear() {
    for (to, country, prefix, masked) in [
        (NUMBER, "AT", "+43660", "•••• 4567"),
        (OTHER_NUMBER, "GB", "+44740", "•••• 3456"),
        (THIRD_NUMBER, "DE", "+49151", "•••• 5678"),
    ] {
        let number = number(to);
        assert_eq!((number.country(), number.prefix()), (Country(country.into()), NumberPrefix(prefix.into())));
        assert_eq!(number.masked(), masked);
    }
}

#[test]
fn labels_and_texts_are_trimmed_bounded_and_visible() {
    assert_eq!(Label::parse("  my phone ").unwrap().as_str(), "my phone");
    assert!(Label::parse(&"ß".repeat(30)).is_ok() && Label::parse(&"ß".repeat(31)).is_err());
    assert!(FreeText::parse(&"x".repeat(200)).is_ok() && FreeText::parse(&"x".repeat(201)).is_err());
    for bad in [
        "",
        "   ",
        "a\nb",
        "a\u{0}b",
        "a\u{7f}b",
        "a\u{200b}b",
        "a\u{202e}b",
        "a\u{2066}b",
        "a\u{feff}b",
        "a\u{2028}b",
        "a\u{ad}b",
        "\u{3164}",
        "\u{2800}",
        "a\u{61c}b",
        "a\u{e0041}b",
    ] {
        assert!(Label::parse(bad).is_err() && FreeText::parse(bad).is_err(), "{bad:?}");
    }
    assert!(Label::parse("電話 📱 Büro").is_ok());
}

#[test]
fn recovery_codes_are_read_as_people_type_them() {
    let read = |typed: &str| normalize_recovery_code(typed).map(|code| code.expose().clone());
    for typed in [
        "01AB-CDEF-GHJK-MNPQ",
        "01abcdefghjkmnpq",
        " o1ab cdef-ghjk mnpq ",
        "OIAB-CDEF-GHJK-MNPQ",
        "OLab-CDEF-GHJK-MNPQ",
        "01AB\u{2013}CDEF\u{2011}GHJK\u{a0}MNPQ\n",
    ] {
        assert_eq!(read(typed).as_deref(), Some("01ABCDEFGHJKMNPQ"), "{typed}");
    }
    for typed in [
        "",
        "01AB-CDEF-GHJK-MNP",
        "01AB-CDEF-GHJK-MNPQR",
        "U1AB-CDEF-GHJK-MNPQ",
        "u1AB-CDEF-GHJK-MNPQ",
        "01AB-CDEF-GHJK-MNP!",
        "01AB_CDEF_GHJK_MNPQ",
        "01AB-CDEF-GHJK-MNPÄ",
        "０1AB-CDEF-GHJK-MNPQ",
        &"-".repeat(10_000),
    ] {
        assert_eq!(read(typed), None, "{typed}");
    }
}

#[test]
fn sources_are_counted_by_address_or_by_64_bits_of_it() {
    let network =
        |ip: Option<&str>| Origin { ip: ip.map(|ip| ip.parse::<IpAddr>().unwrap()), ..Origin::default() }.network();
    assert_eq!(network(Some("192.0.2.7")), "192.0.2.7");
    assert_eq!(network(Some("::ffff:192.0.2.7")), "192.0.2.7");
    assert_eq!(network(Some("2001:db8:1:2:3:4:5:6")), "2001:db8:1:2::/64");
    assert_eq!(network(Some("2001:db8:1:2::9")), network(Some("2001:db8:1:2:ffff::1")));
    assert_ne!(network(Some("2001:db8:1:2::9")), network(Some("2001:db8:1:3::9")));
    assert_eq!(network(None), "none");
}

#[test]
fn scopes_have_stable_names() {
    for (scope, name) in Scope::ALL {
        assert_eq!((scope.name(), Scope::parse(name)), (name, Some(scope)));
        assert_eq!(serde_json::to_value(scope).unwrap(), name);
    }
    assert_eq!(Scope::parse("root"), None);
}

#[test]
fn times_are_written_in_utc_with_milliseconds_and_read_back() {
    assert_eq!(START.to_string(), "2025-06-15T15:07:00.000Z");
    assert_eq!(serde_json::to_string(&Timestamp::from_millis(1)).unwrap(), "\"1970-01-01T00:00:00.001Z\"");
    assert_eq!("2025-06-15T17:07:00+02:00".parse::<Timestamp>().unwrap(), START);
    for millis in [i64::MIN, -1, 0, 1, 1_750_000_020_123, i64::MAX] {
        let at = Timestamp::from_millis(millis);
        assert_eq!(serde_json::from_str::<Timestamp>(&serde_json::to_string(&at).unwrap()).unwrap(), at, "{millis}");
    }
    for bad in ["\"\"", "\"tomorrow\"", "5", "\"2025-06-15\""] {
        assert!(serde_json::from_str::<Timestamp>(bad).is_err());
    }
}

#[test]
fn arithmetic_with_times_saturates() {
    let end = Timestamp::from_millis(i64::MAX);
    assert_eq!(end.plus(Seconds(u32::MAX)), end);
    assert_eq!(Timestamp::EPOCH.minus(Seconds(1)), Timestamp::EPOCH);
    assert_eq!(Timestamp::from_seconds(i64::MAX), end);
    assert_eq!(Timestamp::from_seconds(i64::MIN), Timestamp::EPOCH);
    assert_eq!(end.seconds_since(Timestamp::EPOCH), u32::MAX);
    assert_eq!(START.minus(Seconds(7)).plus(Seconds(7)), START);
}

#[test]
fn seconds_between_are_rounded_up_and_never_negative() {
    let later = |millis: i64| Timestamp::from_millis(START.as_millis() + millis).seconds_since(START);
    assert_eq!((later(0), later(1), later(1_000), later(1_001), later(-5)), (0, 1, 1, 2, 0));
    assert_eq!(Timestamp::from_millis(59_999).as_seconds(), 59);
}

#[test]
fn spans_are_what_they_say() {
    assert_eq!(
        (Seconds::minutes(2), Seconds::hours(2), Seconds::days(2)),
        (Seconds(120), Seconds(7_200), Seconds(172_800))
    );
    assert_eq!(Seconds(u32::MAX).as_millis(), 4_294_967_295_000);
}

#[test]
fn names_of_streams_are_read_back() {
    let id = Uuid::from_u128(0x0197_a0b1_c2d3_7000_8000_0000_0000_0001);
    for stream in [
        StreamId::Account(AccountId(id)),
        StreamId::Email(AddressHash("ab".repeat(32))),
        StreamId::Delivery(EventId(id)),
        StreamId::ApiKey(ApiKeyId(id)),
        StreamId::AuditAccess("operator".to_owned()),
        StreamId::Farewell(AccountId(id)),
    ] {
        assert_eq!(stream.to_string().parse::<StreamId>().unwrap(), stream);
    }
    for name in ["", "account-", "account-7", "accounts-x", "delivery-x", "api-key-x", "farewell-x", "$all", "other-1"]
    {
        assert!(name.parse::<StreamId>().is_err(), "{name}");
    }
    assert_eq!(StreamId::Account(AccountId(id)).to_string(), "account-0197a0b1-c2d3-7000-8000-000000000001");
}

#[test]
fn an_account_has_one_stream_by_one_name() {
    let id = Uuid::from_u128(0x0197_a0b1_c2d3_7000_8000_0000_0000_0001);
    for other in [id.simple().to_string(), id.to_string().to_uppercase(), format!("{{{id}}}"), format!("urn:uuid:{id}")]
    {
        assert!(format!("account-{other}").parse::<StreamId>().is_err(), "{other}");
    }
}

#[test]
fn ids_are_in_order_of_their_moment() {
    let scene = given([]);
    let id = |at| VerificationId(scene.entropy().uuid(at, "x"));
    assert!(id(START) < id(after(Seconds(1))));
    assert_eq!(id(START), id(START));
    assert_eq!(id(START).0.get_version_num(), 7);
    assert_eq!(id(START).to_string().parse::<VerificationId>().unwrap(), id(START));
    assert_ne!(id(START).0, scene.entropy().uuid(START, "y"));
    for end in [Timestamp::EPOCH, Timestamp::from_millis(i64::MAX)] {
        assert_eq!(id(end).0.get_version_num(), 7);
    }
}

#[test]
fn hex_is_read_back_and_nothing_else_is() {
    assert_eq!(to_hex(&[0, 15, 255]), "000fff");
    assert_eq!(from_hex("000fFF"), Some(vec![0, 15, 255]));
    for bad in ["0", "0g", "é0", "0x"] {
        assert_eq!(from_hex(bad), None);
    }
    let hash = hash_of(1);
    assert_eq!(serde_json::from_str::<TokenHash>(&serde_json::to_string(&hash).unwrap()).unwrap(), hash);
    assert!(serde_json::from_str::<TokenHash>("\"00\"").is_err());
}

#[test]
fn personal_values_are_known_erased_or_unopened() {
    let read = |text: &str| serde_json::from_str::<Personal<EmailAddress>>(text);
    let known = Personal::Known(email());
    assert_eq!(read(&serde_json::to_string(&known).unwrap()).unwrap(), known);
    assert_eq!(read("{\"$erased\":true}").unwrap(), Personal::Erased);
    assert_eq!(read("{\"$sealed\":{\"tag\":\"email\",\"box\":\"AA==\"}}").unwrap(), Personal::Erased);
    for bad in ["{}", "\"ada@example.com\"", "{\"$erased\":false}", "{\"$personal\":\"a@b.c\",\"$erased\":true}"] {
        assert!(read(bad).is_err(), "{bad}");
    }
    assert_eq!(Personal::Known(2).map(|n| n + 1), Personal::Known(3));
    assert_eq!(Personal::<i32>::Erased.map(|n| n + 1), Personal::Erased);
}

#[test]
fn totp_keys_are_base32_in_json() {
    let key = TotpSecret::new(b"12345678901234567890".to_vec());
    assert_eq!(serde_json::to_string(&key).unwrap(), "\"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\"");
    assert_eq!(serde_json::from_str::<TotpSecret>("\"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\"").unwrap(), key);
    assert!(serde_json::from_str::<TotpSecret>("\"1\"").is_err());
}

/// What no `Debug` may show.
const PRIVATE: [&str; 10] = [
    "ada@",
    "example.com",
    "example.org",
    "6601234567",
    // The end of a number as it is masked: four digits alone stand in times too.
    "• 4567",
    "dragonfly",
    "hash of",
    "my phone",
    "192.0.2",
    "Netscape",
];

fn shows_nothing(debug: &str) {
    for private in PRIVATE {
        assert!(!debug.contains(private), "{private} in {debug}");
    }
}

#[test]
fn debug_of_values_shows_nothing_personal() {
    let origin =
        Origin { ip: Some([192, 0, 2, 7].into()), user_agent: Some("Netscape".to_owned()), ..Origin::default() };
    shows_nothing(&format!("{:?}", (email(), number(NUMBER), label("my phone"), text("my phone"), origin)));
    shows_nothing(&format!("{:?}", (password_hash(PASSWORD), Secret::new(PASSWORD.to_owned()), secret(1), hash_of(1))));
    shows_nothing(&format!("{:?}", (Personal::Known("ada@example.com"), given([]).entropy())));
    let charge = Charge {
        name: LimitName::TextsPerNumber,
        subject: NUMBER.to_owned(),
        limit: Limit { count: 1, window: Seconds(1) },
        refund_on_success: false,
    };
    let needs: [Need; 3] = [
        PasswordMatches { hash: password_hash(PASSWORD), entered: Secret::new(PASSWORD.to_owned()) }.into(),
        AddressClaim(email()).into(),
        Allowance(vec![charge]).into(),
    ];
    shows_nothing(&format!("{needs:?}"));
}

#[test]
fn debug_of_answers_shows_nothing_personal() {
    let sent = CodeSent { sent_to: "•••• 4567".to_owned(), expires_at: START, resend_after: START };
    let offered = OfferedMethod {
        kind: FactorKind::Sms,
        method_id: None,
        hint: Some("my phone".to_owned()),
        default: false,
        locked_until: None,
    };
    let enrollment = TotpEnrollment {
        method_id: MethodId(1),
        secret: secret(1),
        algorithm: domain::events::TotpAlgorithm::Sha1,
        digits: 6,
        period: 30,
        account_name: "ada@example.com".to_owned(),
        expires_at: START,
    };
    shows_nothing(&format!("{:?}", (sent, offered, enrollment)));
    let scene = given(an_account_with_sms());
    let views: Vec<MethodView> = scene.state.methods_view(Side::KnownDevices, START);
    shows_nothing(&format!("{:?} {:?} {:?}", views, scene.state.summary(&usual(), START), scene.state));
}

#[test]
fn debug_of_events_commands_and_states_shows_nothing_personal() {
    let mut any = Any(7);
    for _ in 0..2_000 {
        shows_nothing(&format!("{:?}", any.event()));
        shows_nothing(&format!("{:?}", any.command()));
    }
    let import = AccountImport {
        account_id: ACCOUNT,
        email: email(),
        email_verified: true,
        password: None,
        methods: vec![],
        recovery_codes: vec!["hash of a".to_owned()],
    };
    shows_nothing(&format!("{:?}", Command::ImportAccount { import: Box::new(import) }));
}

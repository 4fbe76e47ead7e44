//! What people are told, over the real binary: the mail comes, once, to whom it belongs, and does what it says.

use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Person, Settings, Setup, eventually, id, over_every_setup};

over_every_setup![
    a_right_password_without_its_second_factor_is_told_once_a_sign_in_is_over,
    a_sign_in_from_a_new_place_is_told_and_one_from_a_known_place_is_not,
    the_mail_to_the_old_address_takes_a_change_back_and_the_numbers_hear_of_it,
    the_owner_of_an_erased_account_is_told_and_nothing_is_left_of_the_address,
];

fn saying<'a>(messages: &'a [Value], words: &str) -> Vec<&'a Value> {
    messages.iter().filter(|message| message["body"].as_str().is_some_and(|body| body.contains(words))).collect()
}

/// Waits for a message with these words.
async fn told(client: &Client, to: &str, words: &str) -> Value {
    let what = format!("a message that says {words:?}");
    eventually(&what, || async { saying(&client.inbox(to).await, words).first().map(|message| (*message).clone()) })
        .await
}

async fn a_right_password_without_its_second_factor_is_told_once_a_sign_in_is_over(setup: Setup) {
    const WORDS: &str = "the right password of your account";
    let server = setup.server().await;
    let mut person = Person::with_totp(&server, "frances").await;
    person.begin_sign_in(&server).await;
    person.sign_in_by_totp(&server).await;
    assert!(saying(&person.client.inbox(&person.email).await, WORDS).is_empty());
    server.advance(16 * 60);
    told(&person.client, &person.email, WORDS).await;
    // Another one on the same day is not told again: what is told after it shows that the workers got there.
    person.begin_sign_in(&server).await;
    server.advance(16 * 60);
    let body = json!({"current_password": PASSWORD, "new_password": "ein-anderes-Pferd-23"});
    let answer = person.client.put("/v1/accounts/me/password", body).await.expect(200);
    person.go_on_with(&answer);
    told(&person.client, &person.email, "A new password was set").await;
    assert_eq!(saying(&person.client.inbox(&person.email).await, WORDS).len(), 1);
    server.leaves_nothing_behind().await;
}

async fn a_sign_in_from_a_new_place_is_told_and_one_from_a_known_place_is_not(setup: Setup) {
    const WORDS: &str = "a network and a device that were not used with it before";
    let settings = Settings::default().with("trusted_proxies", "127.0.0.1/32").with("dev_inbox", "exposed");
    let server = setup.server_with(settings).await;
    let person = Person::sign_up(&server, "grete").await;
    server.remember("203.0.113.77");
    let sign_in = async |from: &str| {
        let body = json!({"email": person.email, "password": PASSWORD});
        server.client().header("X-Forwarded-For", from).post("/v1/sign-in", body).await.expect(200)
    };
    sign_in("203.0.113.77").await;
    let mail = told(&person.client, &person.email, WORDS).await;
    assert!(mail["body"].as_str().unwrap().contains("203.0.113.77"), "{mail}");
    sign_in("203.0.113.77").await;
    server.remember("198.51.100.9");
    sign_in("198.51.100.9").await;
    let mails = eventually("the second mail", || async {
        let mails = person.client.inbox(&person.email).await;
        (saying(&mails, "198.51.100.9").len() == 1).then_some(mails)
    });
    assert_eq!(saying(&mails.await, WORDS).len(), 2);
    server.leaves_nothing_behind().await;
}

async fn the_mail_to_the_old_address_takes_a_change_back_and_the_numbers_hear_of_it(setup: Setup) {
    const NUMBER: &str = "+436601234567";
    let server = setup.server().await;
    let mut person = Person::with_totp(&server, "klara").await;
    let verification = person.verify_by_totp(&server, "add_method").await;
    assert!(!verification.is_empty());
    person.add_sms(NUMBER).await;
    person.sign_in_by_totp(&server).await;
    let verification = person.verify_by_totp(&server, "change_email").await;
    let acting = person.client.header("Countersign-Verification", &verification);
    let body = json!({"email": "klara.new@example.org", "password": PASSWORD});
    acting.put("/v1/accounts/me/email", body).await.expect(202);
    let code = person.client.code("klara.new@example.org", 1).await;
    person.client.post("/v1/accounts/me/email/verify", json!({"code": code})).await.expect(200);

    let mail = told(&person.client, &person.email, "cs_undo_").await;
    let new = told(&person.client, "klara.new@example.org", "was changed to this one").await;
    assert!(!new["body"].as_str().unwrap().contains("cs_undo_"));
    told(&person.client, NUMBER, "Your email address was changed").await;
    let token = mail["body"].as_str().unwrap().split_whitespace().find(|word| word.starts_with("cs_undo_")).unwrap();
    server.remember(token);
    let code = server.fresh_totp(person.totp.as_deref().unwrap());
    let undo = json!({
        "token": token, "confirmation": person.email, "password": PASSWORD, "method": "totp", "code": code
    });
    server.client().post("/v1/email-undos", undo).await.expect(204);
    told(&person.client, &person.email, "was undone").await;
    told(&person.client, "klara.new@example.org", "not the account's any more").await;
    let (started, _) = person.begin_sign_in(&server).await;
    assert!(!id(&started).is_empty());
    server.leaves_nothing_behind().await;
}

async fn the_owner_of_an_erased_account_is_told_and_nothing_is_left_of_the_address(setup: Setup) {
    let server = setup.server().await;
    let person = Person::with_totp(&server, "dorothy").await;
    let verification = person.verify_by_totp(&server, "erase_account").await;
    let erasing = person.client.header("Countersign-Verification", &verification);
    erasing.delete("/v1/accounts/me").await.expect(204);
    let mail = told(&person.client, &person.email, "Your account was deleted").await;
    assert!(mail["code"].is_null());
    let doctor = || async {
        let (_, found, _) = server.try_command(&["doctor"]);
        found.contains("no erased account's key opens").then_some(())
    };
    eventually("a doctor's word", doctor).await;
    // A worker that looks at everything again has nothing to say, and nobody to say it to.
    assert_eq!(saying(&person.client.inbox(&person.email).await, "Your account was deleted").len(), 1);
    server.leaves_nothing_behind().await;
}

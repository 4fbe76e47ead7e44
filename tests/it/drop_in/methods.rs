//! Adding, changing and removing methods.

use super::client::{PRINT, YES_PRINT, newcomer, with_app};
use crate::support::{Settings, Setup, over_both_logs};

over_both_logs![
    the_first_method_by_an_authenticator_app,
    the_first_method_by_sms,
    a_second_method_authorized_by_each_kind,
    names_ranks_deletions_and_fresh_codes,
    with_the_originals_policy_email_authorizes_everything,
];

const NUMBER: &str = "+436601234567";
const OTHER: &str = "+447400123456";

async fn the_first_method_by_an_authenticator_app(setup: Setup) {
    let server = setup.server().await;
    let (person, vastai, _) = newcomer(&server, "ada").await;
    vastai.tfa(&["status"]).says("No active 2FA methods found");
    let app = vastai.set_up_app(&server);
    vastai.tfa(&["activate", "--secret", &app, &server.fresh_totp(&app)]).says("Failed with error 403");
    let mails = person.codes_mailed().await;
    let secret = vastai.authorize(&server, &["--method-type", "totp"]);
    let code = person.client.code(&person.email, mails + 1).await;
    vastai.finish_authorization(&secret, &code);
    let app = vastai.set_up_app(&server);
    let code = server.fresh_totp(&app);
    let printed = vastai.tfa_with(&["activate", "--secret", &app, "--label", "My app", &code], PRINT);
    printed.says("TOTP (Authenticator App) 2FA method activated successfully!").backup_codes(&server);
    vastai.tfa(&["status"]).says("2FA Status: Enabled").says("My app").says("Backup codes remaining: 10");
    server.leaves_nothing_behind().await;
}

async fn the_first_method_by_sms(setup: Setup) {
    let server = setup.server().await;
    let (person, vastai, _) = newcomer(&server, "bert").await;
    server.remember(NUMBER);
    vastai.tfa(&["send-sms", "--phone-number", NUMBER]).says("Failed with error 403");
    let mails = person.codes_mailed().await;
    let secret = vastai.authorize(&server, &["-t", "sms"]);
    vastai.finish_authorization(&secret, &person.client.code(&person.email, mails + 1).await);
    let secret = vastai.tfa(&["send-sms", "--phone-number", NUMBER]).says("SMS code sent").after("Secret token: ");
    server.advance(31);
    vastai.tfa(&["resend-sms", "--secret", &secret, "--phone-number", NUMBER]).says("SMS code resent successfully!");
    let code = server.client().code(NUMBER, 1).await;
    assert_eq!(server.client().code(NUMBER, 2).await, code, "the same code again");
    let arguments = ["activate", "-t", "sms", "--secret", &secret, "--phone-number", NUMBER, &code];
    vastai.tfa_with(&arguments, PRINT).says("SMS 2FA method activated").backup_codes(&server);
    vastai.tfa(&["status"]).says("•••• 4567").says_not(NUMBER);
    server.leaves_nothing_behind().await;
}

async fn a_second_method_authorized_by_each_kind(setup: Setup) {
    let server = setup.server().await;
    let (person, vastai, app, codes) = with_app(&server, "cleo").await;
    let client = server.client();
    // By the app, typed at the prompt.
    let code = server.fresh_totp(&app);
    vastai.tfa_with(&["auth-new", "-t", "totp"], &format!("{code}\n")).says("Successfully authorized account");
    let secret = vastai.tfa(&["send-sms", "--phone-number", NUMBER]).after("Secret token: ");
    let code = client.code(NUMBER, 1).await;
    let arguments = ["activate", "-t", "sms", "--secret", &secret, "--phone-number", NUMBER, "-l", "Phone", &code];
    vastai.tfa(&arguments).says("SMS 2FA method activated").says_not("BACKUP CODES");
    // By SMS: the code is sent by the start.
    server.advance(31);
    let secret = vastai.authorize(&server, &["-t", "sms"]);
    vastai.finish_authorization(&secret, &client.code(NUMBER, 2).await);
    let second = vastai.set_up_app(&server);
    vastai.tfa(&["activate", "--secret", &second, "-l", "Second", &server.fresh_totp(&second)]).says("activated");
    // By email only from a session that a factor began, and by a backup code at once.
    vastai.tfa(&["auth-new", "-t", "email"]).says("A code by email only logs in.");
    vastai.tfa(&["login", "-id", "1", "-c", &server.fresh_totp(&app)]).says("2FA login successful!");
    let mails = person.codes_mailed_to(&client).await;
    let vastai = vastai.without_key();
    let secret = vastai.authorize(&server, &["-t", "email"]);
    vastai.finish_authorization(&secret, &client.code(&person.email, mails + 1).await);
    vastai.tfa(&["auth-new", "-bc", &codes[0]]).says("Successfully authorized account for adding new 2FA method");
    let secret = vastai.tfa(&["send-sms", "--phone-number", OTHER]).after("Secret token: ");
    let code = client.code(OTHER, 1).await;
    vastai.tfa(&["activate", "-t", "sms", "--secret", &secret, "--phone-number", OTHER, &code]).says("activated");
    // With several of a kind the number says which.
    let code = server.fresh_totp(&second);
    vastai.tfa_with(&["auth-new", "-id", "3"], &format!("{code}\n")).says("Successfully authorized account");
    vastai.tfa(&["status"]).says("Second").says("Backup codes remaining: 9");
}

async fn names_ranks_deletions_and_fresh_codes(setup: Setup) {
    let server = setup.server().await;
    let (person, vastai, app, codes) = with_app(&server, "dora").await;
    let client = server.client();
    vastai.tfa(&["auth-new", "-bc", &codes[0]]).says("Successfully authorized");
    let second = vastai.set_up_app(&server);
    vastai.tfa(&["activate", "--secret", &second, &server.fresh_totp(&second)]).says("activated");
    vastai.tfa(&["update", "2", "--label", "Work", "--set-primary", "t"]).says("2FA method updated successfully!");
    let method = vastai.raw("status")["methods"][1].clone();
    assert_eq!((&method["label"], &method["is_primary"]), (&"Work".into(), &true.into()));
    // Fresh backup codes kill the old ones.
    let code = server.fresh_totp(&app);
    let printed = vastai.tfa_with(&["regen-codes", "-c", &code, "-id", "1"], YES_PRINT);
    let fresh = printed.says("Backup codes regenerated successfully!").backup_codes(&server);
    vastai.tfa_with(&["regen-codes", "-bc", &codes[1]], YES_PRINT).says("Invalid backup code.");
    let printed = vastai.tfa_with(&["regen-codes", "-bc", &fresh[0]], YES_PRINT);
    let fresh = printed.says("Backup codes regenerated").backup_codes(&server);
    // A code by email removes none; one goes by the other's code, the last by its own.
    let mails = person.codes_mailed_to(&client).await;
    let secret = vastai.tfa(&["send-email"]).says("Email code sent successfully!").after("Secret token: ");
    let code = client.code(&person.email, mails + 1).await;
    let mail = client.inbox(&person.email).await.remove(0);
    assert!(mail["subject"].as_str().unwrap().ends_with("code to sign in"), "{}", mail["subject"]);
    let arguments = ["delete", "-id", "1", "-t", "email", "-s", &secret, "-c", &code];
    vastai.tfa_with(&arguments, "y\n").says("A code by email only logs in.");
    vastai.tfa_with(&["delete", "-id", "1", "-bc", &fresh[0]], "y\n").says("You have 1 2FA method remaining.");
    let code = server.fresh_totp(&second);
    vastai.tfa_with(&["delete", "-t", "totp", "-c", &code], "y\n").says("You have removed all 2FA methods");
    vastai.tfa(&["status"]).says("No active 2FA methods found");
}

async fn with_the_originals_policy_email_authorizes_everything(setup: Setup) {
    let server = setup.server_with(Settings::default().with("policy.email_for_changes", "always")).await;
    let (person, vastai, app, _) = with_app(&server, "emil").await;
    let client = server.client();
    let mails = person.codes_mailed_to(&client).await;
    let secret = vastai.authorize(&server, &["-t", "email"]);
    vastai.finish_authorization(&secret, &client.code(&person.email, mails + 1).await);
    server.advance(29 * 60);
    let second = vastai.set_up_app(&server);
    vastai.tfa(&["activate", "--secret", &second, &server.fresh_totp(&second)]).says("activated");
    let secret = vastai.tfa(&["send-email"]).says("Email code sent successfully!").after("Secret token: ");
    let code = client.code(&person.email, mails + 2).await;
    let arguments = ["delete", "-id", "2", "-t", "email", "-s", &secret, "-c", &code];
    vastai.tfa_with(&arguments, "y\n").says("You have 1 2FA method remaining.");
    let code = server.fresh_totp(&app);
    vastai.tfa_with(&["delete", "-t", "totp", "-c", &code], "y\n").says("You have removed all 2FA methods");
}

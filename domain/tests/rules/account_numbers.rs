//! The numbers of accounts.

use domain::{
    commands::Command,
    events::*,
    evidence::NextAccountNumber,
    ids::{AccountNumber, StreamId},
    numbers::{AccountNumbers, ReserveNumbers},
    outcome::{Outcome, Refusal},
    secret::Secret,
};

use crate::{event_of, histories::*, kit::*};

fn reserved(first: u32, count: u32) -> Event {
    NumbersReserved { first: AccountNumber(first), count }.into()
}

#[test]
fn numbers_begin_at_one_and_are_set_aside_once() {
    let told = given_on::<AccountNumbers>([]).when(ReserveNumbers { count: 8 }).then([reserved(1, 8)]);
    let told = told.next().when(ReserveNumbers { count: 16 }).then([reserved(9, 16)]);
    let outcome = Outcome::NumbersReserved { first: AccountNumber(9), count: 16 };
    told.telling(&outcome).next().when(ReserveNumbers { count: 1 }).then([reserved(25, 1)]);
}

#[test]
fn setting_none_aside_sets_one_aside() {
    given_on::<AccountNumbers>([]).when(ReserveNumbers { count: 0 }).then([reserved(1, 1)]);
}

#[test]
fn beyond_the_last_number_there_is_none() {
    let full = given_on::<AccountNumbers>([reserved(1, u32::MAX)]);
    full.when(ReserveNumbers { count: 1 }).refused(Refusal::Conflict);
}

#[test]
fn whoever_registers_is_given_a_number_and_keeps_it() {
    let command = Command::RegisterAccount {
        account_id: ACCOUNT,
        email: email(),
        password: Some(Secret::new(PASSWORD.to_owned())),
        vouch_for_email: false,
    };
    let told = nothing_yet().when(command);
    assert!(told.asked.contains(&NextAccountNumber.into()));
    assert_eq!(event_of!(told, AccountRegistered).number, Some(AccountNumber(7)));
    assert_eq!(told.scene.state.number, Some(AccountNumber(7)));
    let erased = told.next().then_at(START, [AccountErased { verification_id: None }.into()]);
    assert_eq!(erased.state.number, Some(AccountNumber(7)), "it is nobody else's afterwards");
}

#[test]
fn their_stream_has_one_name() {
    assert_eq!(StreamId::AccountNumbers.to_string(), "numbers");
    assert_eq!("numbers".parse::<StreamId>().unwrap(), StreamId::AccountNumbers);
    assert!("numbers-1".parse::<StreamId>().is_err());
}

//! The words people read: one catalogue for mails, SMS, notices and pages.

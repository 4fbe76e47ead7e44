//! What can be asked of the views. Rows are typed and serialize as they are shown; what is kept sealed is
//! opened here, under the account's key, or reads as absent when that is gone.

mod accounts;
mod adoption;
mod api_keys;
mod deliveries;
mod methods;
mod page;
mod recovery_codes;
mod sessions;
mod timeline;

pub use accounts::{AccountFilter, AccountRow, Alert};
pub use adoption::{AdoptionCount, AdoptionDay, AdoptionTotals};
pub use api_keys::ApiKeyRow;
pub use deliveries::{DeliveryFilter, DeliveryRow, PrefixRow};
pub use methods::MethodRow;
pub use page::{Order, Page};
pub use recovery_codes::{RecoveryCodesRow, UsedCode};
pub use sessions::{AccessTokenRow, SessionRow};
pub use timeline::{Reveal, Source, TimelineEntry, TimelineFilter};

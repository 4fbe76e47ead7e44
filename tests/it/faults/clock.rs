//! A clock that jumps: nothing is lost, no history runs backwards, and nothing is sent after its end.

use super::load::{Load, nothing_was_lost};
use crate::support::{Settings, Setup, over_every_setup};

over_every_setup![load_goes_on_over_jumps];

async fn load_goes_on_over_jumps(setup: Setup) {
    let server = setup.server_with(Settings::default().generous()).await;
    let load = Load::start(&server.client_with("accounts:write"), 4, None);
    // Shorter than a code lives, so that nobody is refused for good reason.
    for jump in [45, -60, 300, -300, 120] {
        load.until_more(20).await;
        server.advance(jump);
    }
    load.until_more(60).await;
    let promised = load.stop().await;
    nothing_was_lost(&server, &promised, None).await;
}

//! What this node has heard of placement, told to its own driver: so that whoever asks a node that
//! is no member, or is none any more, is sent on.

use std::sync::Arc;

use placement::Hearsay;
use types::StoreId;

use super::Parts;

/// Tells, until the node stops.
pub(super) async fn run(parts: Arc<Parts>) {
    let (mut leader, mut book) = (parts.link.leader(), parts.link.book_news());
    loop {
        let store = *leader.borrow_and_update();
        book.borrow_and_update();
        let members = parts.link.members();
        parts.driver.on_hearsay(Hearsay { leader: store.and_then(StoreId::new), members });
        let changed = tokio::select! {
            changed = leader.changed() => changed,
            changed = book.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

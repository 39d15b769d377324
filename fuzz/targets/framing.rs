//! The bytes of a connection: how they are cut into pieces makes no difference.
#![no_main]

use cloakroom_server::http::framing::Watch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (piece, bytes) = input;
    let (mut whole, mut pieces) = (Watch::default(), Watch::default());
    let passed = whole.see(&bytes);
    let mut passed_in_pieces = 0;
    for piece in bytes.chunks(usize::from(piece).max(1)) {
        if pieces.has_refused() {
            break;
        }
        passed_in_pieces += pieces.see(piece);
    }
    assert_eq!(whole.has_refused(), pieces.has_refused());
    if !whole.has_refused() {
        assert_eq!((passed, passed_in_pieces), (bytes.len(), bytes.len()));
        assert_eq!(whole.head(), pieces.head());
    }
});

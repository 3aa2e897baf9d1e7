//! Random numbers from the kernel.

use rustix::rand::{GetRandomFlags, getrandom};

/// Random bits that cannot be guessed.
pub(crate) fn bits() -> u64 {
    let mut bytes = [0; 8];
    // A read this short is never partial. Where a sandbox forbids the call, there are other
    // sources.
    if getrandom(&mut bytes, GetRandomFlags::empty()) != Ok(bytes.len()) {
        bytes = other_bits();
    }
    u64::from_ne_bytes(bytes)
}

/// Bytes from the seeds of the standard library's hash maps.
fn other_bits() -> [u8; 8] {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()).to_ne_bytes()
}

/// Puts these into random order. The order is no secret: one call of the kernel is enough for all.
pub(crate) fn shuffle<T>(all: &mut [T]) {
    let mut state = bits();
    for at in (1..all.len()).rev() {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The excess of small numbers is one in 2^64 for each of them.
        let other = (u128::from(mixed) * (at as u128 + 1)) >> 64;
        all.swap(at, other as usize);
    }
}

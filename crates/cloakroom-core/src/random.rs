//! Randomness, as one seam: the operating system's in production, a repeatable stream in tests and models.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aws_lc_rs::digest::{SHA256, digest};

/// Where random bytes come from; cheap to clone.
#[derive(Clone)]
pub struct Rng(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(u64, Arc<AtomicU64>),
}

impl Rng {
    /// The cryptographic generator of the process, seeded by the operating system.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A repeatable stream, for tests only: whoever knows the seed knows every secret drawn from it.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(seed, Arc::new(AtomicU64::new(0))))
    }

    /// Fresh random bytes.
    ///
    /// # Panics
    /// When the operating system gives no randomness: nothing safe can be done without it.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        match &self.0 {
            Source::System => aws_lc_rs::rand::fill(&mut out).expect("the system's random generator works"),
            Source::Seeded(seed, count) => {
                for chunk in out.chunks_mut(32) {
                    let n = count.fetch_add(1, Ordering::Relaxed);
                    let block = digest(&SHA256, &[seed.to_be_bytes(), n.to_be_bytes()].concat());
                    chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
                }
            }
        }
        out
    }

    /// A number below `bound`, which must not be 0. The bias is below 2⁻³² for bounds that fit 32 bits.
    pub fn below(&self, bound: u64) -> u64 {
        u64::from_be_bytes(self.bytes()) % bound
    }
}

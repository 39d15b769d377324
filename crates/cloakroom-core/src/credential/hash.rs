//! Password hashes: Argon2id in the PHC string format, and how much computing one may ask for.
//!
//! A stored hash names its own cost. Parsing is the only way to a [`PasswordHash`], and it refuses a cost above the
//! ceiling: a changed row or a bad import can make a login fail, but not eat the machine.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use data_encoding::BASE64_NOPAD;

use crate::random::Rng;

const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;

/// What one Argon2id run costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashParameters {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl HashParameters {
    /// The most memory a run may take, stored hashes included: 1 GiB.
    pub const MAX_MEMORY_KIB: u32 = 1024 * 1024;
    /// The most passes over it.
    pub const MAX_PASSES: u32 = 16;
    /// The most lanes.
    pub const MAX_LANES: u32 = 4;

    /// The least memory that new hashes may be configured to take: 7 MiB.
    pub const MIN_MEMORY_KIB: u32 = 7 * 1024;
    /// The least memory times passes that new hashes may be configured to take: 35 MiB, as the weakest of the settings
    /// that OWASP calls equivalent (7 MiB and 5 passes).
    pub const MIN_MEMORY_KIB_TIMES_PASSES: u32 = 35 * 1024;

    /// Parameters for new hashes: 64 MiB, 3 passes, 1 lane (RFC 9106 section 4, second choice, on a single lane).
    pub const DEFAULT: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// Parameters for new hashes: memory in KiB, passes over it, lanes.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, ParameterError> {
        let this = match Self::stored(memory_kib, passes, lanes) {
            Ok(this) => this,
            Err(error) => return Err(error),
        };
        if memory_kib < Self::MIN_MEMORY_KIB || memory_kib * passes < Self::MIN_MEMORY_KIB_TIMES_PASSES {
            return Err(ParameterError::TooWeak);
        }
        Ok(this)
    }

    /// So cheap that they protect nothing: 64 KiB, one pass. For tests, which hash a lot.
    #[doc(hidden)]
    pub const fn weak_for_tests() -> Self {
        Self { memory_kib: 64, passes: 1, lanes: 1 }
    }

    /// Parameters that a stored hash may have: anything that Argon2 can do, up to the ceiling.
    const fn stored(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, ParameterError> {
        if lanes == 0 || lanes > Self::MAX_LANES {
            return Err(ParameterError::Lanes);
        }
        if memory_kib < 8 * lanes || memory_kib > Self::MAX_MEMORY_KIB {
            return Err(ParameterError::Memory);
        }
        if passes == 0 || passes > Self::MAX_PASSES {
            return Err(ParameterError::Passes);
        }
        Ok(Self { memory_kib, passes, lanes })
    }

    /// Memory that one run takes, in KiB; also its number of [`Block`]s.
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// How often that memory is gone over.
    pub const fn passes(self) -> u32 {
        self.passes
    }

    /// Lanes; they are computed one after the other, so they only matter for hashes that were made elsewhere.
    pub const fn lanes(self) -> u32 {
        self.lanes
    }
}

impl Default for HashParameters {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for HashParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={},t={},p={}", self.memory_kib, self.passes, self.lanes)
    }
}

/// Why parameters of Argon2 are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// Memory below 8 KiB a lane, or above the ceiling.
    #[error("memory of 8 KiB per lane to {} KiB is possible", HashParameters::MAX_MEMORY_KIB)]
    Memory,
    /// No pass, or more than the ceiling.
    #[error("1 to {} passes are possible", HashParameters::MAX_PASSES)]
    Passes,
    /// No lane, or more than the ceiling.
    #[error("1 to {} lanes are possible", HashParameters::MAX_LANES)]
    Lanes,
    /// Possible, but too cheap for new hashes.
    #[error(
        "new hashes need {} KiB or more, and memory times passes of {} KiB or more",
        HashParameters::MIN_MEMORY_KIB,
        HashParameters::MIN_MEMORY_KIB_TIMES_PASSES
    )]
    TooWeak,
}

/// An Argon2id hash of a password, with its salt and cost.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    parameters: HashParameters,
    salt: Box<[u8]>,
    output: Box<[u8]>,
}

impl PasswordHash {
    /// Reads the PHC string of a stored or imported hash: `$argon2id$v=19$m=65536,t=3,p=1$salt$hash`, base64 without
    /// padding, a salt of 8 to 64 bytes and a hash of 16 to 64.
    pub fn parse(phc: &str) -> Result<Self, HashError> {
        // The longest possible has 222 bytes.
        if phc.len() > 256 {
            return Err(HashError::Syntax);
        }
        let mut fields = phc.split('$');
        if fields.next() != Some("") {
            return Err(HashError::Syntax);
        }
        if (fields.next(), fields.next()) != (Some("argon2id"), Some("v=19")) {
            return Err(HashError::Algorithm);
        }
        let (Some(costs), Some(salt), Some(output), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(HashError::Syntax);
        };
        Ok(Self { parameters: read_costs(costs)?, salt: read_bytes(salt, 8)?, output: read_bytes(output, 16)? })
    }

    /// The PHC string: what a store keeps.
    pub fn to_phc(&self) -> String {
        let (salt, output) = (BASE64_NOPAD.encode(&self.salt), BASE64_NOPAD.encode(&self.output));
        format!("$argon2id$v=19${}${salt}${output}", self.parameters)
    }

    /// What checking a password against it costs.
    pub const fn parameters(&self) -> HashParameters {
        self.parameters
    }

    /// Whether it was made otherwise than it would be now.
    pub fn needs_rehash(&self, now: &HashParameters) -> bool {
        self.parameters != *now || self.salt.len() < SALT_BYTES || self.output.len() < OUTPUT_BYTES
    }

    /// A hash that no password has, and that looks and costs like any other.
    pub(super) fn decoy(parameters: HashParameters, rng: &Rng) -> Self {
        Self { parameters, salt: Box::new(rng.bytes::<SALT_BYTES>()), output: Box::new(rng.bytes::<OUTPUT_BYTES>()) }
    }

    /// Hashes a password: one run.
    pub(super) fn make(
        password: &[u8],
        parameters: HashParameters,
        rng: &Rng,
        memory: &mut [Block],
    ) -> Result<Self, argon2::Error> {
        let mut hash = Self::decoy(parameters, rng);
        hash.output = run(parameters, password, &hash.salt, OUTPUT_BYTES, memory)?;
        Ok(hash)
    }

    /// Checks a password: one run, and a comparison in constant time.
    pub(super) fn matches(&self, password: &[u8], memory: &mut [Block]) -> Result<bool, argon2::Error> {
        let output = run(self.parameters, password, &self.salt, self.output.len(), memory)?;
        Ok(verify_slices_are_equal(&output, &self.output).is_ok())
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({}, ..)", self.parameters)
    }
}

/// Why a stored hash is not computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// It is no PHC string of the expected form.
    #[error("the password hash is no PHC string of Argon2id")]
    Syntax,
    /// It is of another algorithm or version.
    #[error("the password hash is not Argon2id of version 19")]
    Algorithm,
    /// Its cost is out of bounds: it may come from an import, or somebody has changed the row.
    #[error("the password hash asks for a cost that is out of bounds: {0}")]
    Cost(#[from] ParameterError),
    /// Its salt or output is too short or too long.
    #[error("the password hash has a salt or an output of an impossible length")]
    Length,
}

fn run(
    parameters: HashParameters,
    password: &[u8],
    salt: &[u8],
    length: usize,
    memory: &mut [Block],
) -> Result<Box<[u8]>, argon2::Error> {
    let params = Params::new(parameters.memory_kib, parameters.passes, parameters.lanes, Some(length))?;
    let mut output = vec![0; length].into_boxed_slice();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
        password,
        salt,
        &mut output,
        memory,
    )?;
    Ok(output)
}

fn read_costs(text: &str) -> Result<HashParameters, HashError> {
    let mut costs = text.split(',');
    let mut cost = |name: &str| costs.next().and_then(|cost| cost.strip_prefix(name)).and_then(read_number);
    let (Some(memory_kib), Some(passes), Some(lanes)) = (cost("m="), cost("t="), cost("p=")) else {
        return Err(HashError::Syntax);
    };
    if costs.next().is_some() {
        return Err(HashError::Syntax);
    }
    Ok(HashParameters::stored(memory_kib, passes, lanes)?)
}

/// A decimal number as the PHC format wants it; one that is too large for 32 bits is over every ceiling.
fn read_number(digits: &str) -> Option<u32> {
    let plain =
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    plain.then(|| digits.parse().unwrap_or(u32::MAX))
}

fn read_bytes(text: &str, least: usize) -> Result<Box<[u8]>, HashError> {
    let bytes = BASE64_NOPAD.decode(text.as_bytes()).map_err(|_| HashError::Syntax)?;
    if (least..=64).contains(&bytes.len()) { Ok(bytes.into()) } else { Err(HashError::Length) }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    fn phc(costs: &str, salt: usize, output: usize) -> String {
        format!(
            "$argon2id$v=19${costs}${}${}",
            BASE64_NOPAD.encode(&vec![7; salt]),
            BASE64_NOPAD.encode(&vec![9; output])
        )
    }

    fn memory(hash: &PasswordHash) -> Vec<Block> {
        vec![Block::new(); hash.parameters.memory_kib as usize]
    }

    /// Made by the reference implementation (`phc-winner-argon2`, test.c).
    #[test]
    fn the_reference_implementation_and_this_agree() {
        for (text, password) in [
            ("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password"),
            ("$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc", "password"),
        ] {
            let hash = PasswordHash::parse(text).unwrap();
            assert_eq!(hash.to_phc(), text);
            assert_eq!(hash.matches(password.as_bytes(), &mut memory(&hash)), Ok(true));
            assert_eq!(hash.matches(b"passwore", &mut memory(&hash)), Ok(false));
        }
    }

    /// F073: every byte of a long password counts.
    #[test]
    fn passwords_that_differ_late_or_after_a_nul_are_different() {
        let parameters = HashParameters::weak_for_tests();
        let mut memory = vec![Block::new(); 64];
        let base = [b"a\0".as_slice(), &[b'x'; 1022]].concat();
        let hash = PasswordHash::make(&base, parameters, &Rng::seeded(1), &mut memory).unwrap();
        assert_eq!(hash.matches(&base, &mut memory), Ok(true));
        for place in [1, 2, 72, 73, 1023] {
            let mut other = base.clone();
            other[place] ^= 1;
            assert_eq!(hash.matches(&other, &mut memory), Ok(false), "byte {place}");
        }
        assert_eq!(hash.matches(b"a", &mut memory), Ok(false));
    }

    /// F075: a stored hash cannot ask for more than the ceiling.
    #[test]
    fn a_stored_hash_over_the_ceiling_is_never_computed() {
        for costs in ["m=1048576,t=16,p=4", "m=8,t=1,p=1"] {
            PasswordHash::parse(&phc(costs, 16, 32)).unwrap();
        }
        for costs in [
            "m=1048577,t=1,p=1",
            "m=64,t=17,p=1",
            "m=64,t=1,p=5",
            "m=7,t=1,p=1",
            "m=15,t=1,p=2",
            "m=64,t=0,p=1",
            "m=64,t=1,p=0",
            "m=4294967296,t=1,p=1",
            "m=64,t=99999999999999999999,p=1",
        ] {
            assert!(matches!(PasswordHash::parse(&phc(costs, 16, 32)), Err(HashError::Cost(_))), "{costs}");
        }
        for (salt, output) in [(7, 32), (65, 32), (16, 15), (16, 65)] {
            assert_eq!(PasswordHash::parse(&phc("m=64,t=1,p=1", salt, output)), Err(HashError::Length));
        }
    }

    #[test]
    fn what_is_not_quite_a_phc_string_is_refused() {
        let good = phc("m=64,t=1,p=1", 16, 32);
        for bad in [
            good.replace("argon2id", "argon2i"),
            good.replace("argon2id", "argon2d"),
            good.replace("v=19", "v=16"),
            good.replace("$v=19", ""),
            good.replace("t=1", "t=01"),
            good.replace("t=1", "t=+1"),
            good.replace("t=1", "t="),
            good.replace("m=64,t=1", "t=1,m=64"),
            good.replace("p=1", "p=1,keyid=YQ"),
            good.replace("p=1", "p=1,"),
            format!("{good}="),
            format!("{good}$"),
            format!(" {good}"),
            good[1..].to_owned(),
            good.replace("Bw", "B_"),
            String::new(),
            "$2y$10$abcdefghijklmnopqrstuv".into(),
            "x".repeat(100_000),
        ] {
            PasswordHash::parse(&bad).expect_err(&bad);
        }
    }

    #[test]
    fn parameters_for_new_hashes_have_a_floor() {
        for (memory_kib, passes) in [(64 * 1024, 3), (19 * 1024, 2), (46 * 1024, 1), (7 * 1024, 5)] {
            HashParameters::new(memory_kib, passes, 1).unwrap();
        }
        for (memory_kib, passes) in [(64, 16), (7 * 1024, 4), (7 * 1024 - 1, 16), (19 * 1024, 1)] {
            assert_eq!(HashParameters::new(memory_kib, passes, 1), Err(ParameterError::TooWeak));
        }
        assert_eq!(HashParameters::new(u32::MAX, u32::MAX, 1), Err(ParameterError::Memory));
    }

    #[test]
    fn a_hash_made_otherwise_than_now_needs_a_new_one() {
        let now = HashParameters::weak_for_tests();
        let needs = |phc: String| PasswordHash::parse(&phc).unwrap().needs_rehash(&now);
        assert!(!needs(phc("m=64,t=1,p=1", 16, 32)));
        for old in [
            phc("m=32,t=1,p=1", 16, 32),
            phc("m=64,t=2,p=1", 16, 32),
            phc("m=64,t=1,p=1", 8, 32),
            phc("m=64,t=1,p=1", 16, 16),
        ] {
            assert!(needs(old));
        }
    }

    proptest! {
        #[test]
        fn the_phc_string_of_a_hash_reads_back(m in 8u32..=1 << 20, t in 1u32..=16, salt in 8usize..=64, output in 16usize..=64) {
            let text = phc(&format!("m={m},t={t},p=1"), salt, output);
            prop_assert_eq!(PasswordHash::parse(&text).unwrap().to_phc(), text);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "\\$?argon2id\\$v=19\\$[mtp=,0-9]{0,20}\\$[A-Za-z0-9+/$]{0,60}|.{0,60}") {
            if let Ok(hash) = PasswordHash::parse(&text) {
                prop_assert_eq!(hash.to_phc(), text);
            }
        }
    }
}

//! Insertion into a table that stays as small as what lives in it.

use hashbrown::HashTable;

/// Inserts what the table does not hold yet.
///
/// Where many come and go, the marks that removed entries leave use a table up, and it would double although it is not
/// full. It is then built anew at its size. Marks are at least an eighth of it, so that this is rare.
pub(super) fn insert<T>(table: &mut HashTable<T>, hash: u64, value: T, hasher: impl Fn(&T) -> u64) {
    let full = table.num_buckets() / 8 * 7;
    if table.capacity() == table.len() && table.len() < full / 8 * 7 {
        let mut fresh = HashTable::with_capacity(full);
        for held in table.drain() {
            fresh.insert_unique(hasher(&held), held, &hasher);
        }
        *table = fresh;
    }
    table.insert_unique(hash, value, hasher);
}

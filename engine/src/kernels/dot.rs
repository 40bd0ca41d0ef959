//! How each instruction set goes through the rows: four at a time, then those that are left.

/// Rows whose products are worked out together.
pub(super) const ROWS: usize = 4;

/// Fills `out`: `four` gives the products of four rows from an address on, `one` that of one row. There are
/// as many rows of codes as elements of `out`, each `length` bytes long.
#[inline(always)]
pub(super) fn by_rows(
    codes: &[u8],
    length: usize,
    out: &mut [i32],
    four: impl Fn(*const u8) -> [i32; ROWS],
    one: impl Fn(*const u8) -> [i32; 1],
) {
    let (groups, rest) = out.as_chunks_mut::<ROWS>();
    let row = |row: usize| codes[row * length..].as_ptr();
    let done = groups.len() * ROWS;
    for (group, sums) in groups.iter_mut().enumerate() {
        *sums = four(row(group * ROWS));
    }
    for (at, sum) in rest.iter_mut().enumerate() {
        [*sum] = one(row(done + at));
    }
}

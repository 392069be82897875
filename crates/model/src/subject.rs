//! Whose rows an answer has, as far as that can be told.

/// Whether those whose rows an answer is made of are all named (45 CFR 164.528).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enumerated {
    /// Every row of the answer says whose it is, and nobody else's were read.
    All,
    /// Every row says whose it is; others' may have been read to make it: in a subquery, or by a join with a table whose
    /// rows name nobody.
    Part,
    /// Nothing is named: rows are summed up, or not read as rows.
    Nothing,
}

impl Enumerated {
    /// All of them.
    pub const ALL: [Enumerated; 3] = [Enumerated::All, Enumerated::Part, Enumerated::Nothing];

    /// As in records.
    pub fn name(self) -> &'static str {
        match self {
            Enumerated::All => "all",
            Enumerated::Part => "part",
            Enumerated::Nothing => "nothing",
        }
    }
}

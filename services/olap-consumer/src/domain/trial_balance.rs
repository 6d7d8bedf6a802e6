use chrono::NaiveDate;

use super::{Amount, Table, Unsound};

/// What was posted to one account on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Posted {
    pub(crate) debit: Amount,
    pub(crate) credit: Amount,
}

/// Sums by effective day and account.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrialBalance {
    pub(crate) accounts: Table<(NaiveDate, String), Posted>,
}

impl TrialBalance {
    /// All lines of a journal, or none.
    pub(crate) fn post(
        &mut self,
        day: NaiveDate,
        lines: Vec<(String, Posted)>,
    ) -> Result<(), Unsound> {
        let mut sums = std::collections::BTreeMap::new();
        for (account, line) in lines {
            let key = (day, account);
            let before = sums.get(&key).or_else(|| self.accounts.get(&key)).copied();
            let Posted { debit, credit } = before.unwrap_or_default();
            let sum = Posted { debit: debit.plus(line.debit)?, credit: credit.plus(line.credit)? };
            sums.insert(key, sum);
        }
        sums.into_iter().for_each(|(key, sum)| self.accounts.set(key, sum));
        Ok(())
    }
}

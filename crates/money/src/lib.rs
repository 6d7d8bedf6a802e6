//! Money as the books know it: two decimal places, never a float.

use rust_decimal::{Decimal, RoundingStrategy};

/// An amount in the deployment's one currency; it may be negative.
///
/// Invariant: at most two decimal places and within `numeric(14,2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, sqlx::Type)]
#[sqlx(transparent)]
pub struct Money(Decimal);

#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum MoneyError {
    #[error("not a decimal number such as 12.34")]
    NotANumber,
    #[error("more than two decimal places")]
    TooPrecise,
    #[error("amount is out of range: at most 999999999999.99")]
    OutOfRange,
}

impl Money {
    pub const ZERO: Self = Self(Decimal::ZERO);
    /// The largest that `numeric(14,2)` holds.
    pub const MAX: Self = Self(Decimal::from_parts(276_447_231, 23_283, 0, false, 2));

    /// Reads plain decimal notation such as `12.34` or `-0.5`: no exponent, no plus sign, no blanks.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && !digits.ends_with('.');
        if !plain {
            return Err(MoneyError::NotANumber);
        }
        let amount: Decimal = text.parse().map_err(|_| MoneyError::NotANumber)?;
        if amount.normalize().scale() > 2 {
            return Err(MoneyError::TooPrecise);
        }
        Self::in_range(amount)
    }

    pub fn checked_mul(self, qty: i32) -> Result<Self, MoneyError> {
        Self::in_range(self.0.checked_mul(Decimal::from(qty)).ok_or(MoneyError::OutOfRange)?)
    }

    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        Self::in_range(self.0.checked_add(other.0).ok_or(MoneyError::OutOfRange)?)
    }

    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.checked_add(Self(-other.0))
    }

    /// The part that a rate such as 0.20 takes of the amount, half a penny rounded away from zero.
    pub fn part(self, rate: Decimal) -> Result<Self, MoneyError> {
        let part = self.0.checked_mul(rate).ok_or(MoneyError::OutOfRange)?;
        Self::in_range(part.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero))
    }

    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    #[must_use]
    pub fn is_positive(self) -> bool {
        self.0 > Decimal::ZERO
    }

    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0 < Decimal::ZERO
    }

    #[must_use]
    pub fn decimal(self) -> Decimal {
        self.0
    }

    /// In hundredths: what a `decimal(14,2)` of Arrow holds.
    #[must_use]
    pub fn hundredths(self) -> i128 {
        let mut amount = self.0;
        amount.rescale(2);
        amount.mantissa()
    }

    pub fn from_hundredths(hundredths: i128) -> Result<Self, MoneyError> {
        let amount = Decimal::try_from_i128_with_scale(hundredths, 2);
        Self::in_range(amount.map_err(|_| MoneyError::OutOfRange)?)
    }

    fn in_range(amount: Decimal) -> Result<Self, MoneyError> {
        match amount {
            // A decimal knows a zero with a minus sign; the books do not.
            zero if zero.is_zero() => Ok(Self::ZERO),
            large if large.abs() > Self::MAX.0 => Err(MoneyError::OutOfRange),
            amount => Ok(Self(amount)),
        }
    }
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_amount_is_that_of_the_column() {
        assert_eq!(Money::MAX.to_string(), "999999999999.99");
        assert_eq!(Money::parse("1000000000000"), Err(MoneyError::OutOfRange));
        assert_eq!(Money::MAX.checked_mul(2), Err(MoneyError::OutOfRange));
    }

    #[test]
    fn only_plain_decimals_are_amounts() {
        for text in
            ["", " 1", "1 ", "+1", "1e3", "1_000", "1,5", ".5", "5.", "--1", "NaN", "0x1", "1.2.3"]
        {
            assert_eq!(Money::parse(text), Err(MoneyError::NotANumber), "{text:?}");
        }
        assert_eq!(Money::parse("1.005"), Err(MoneyError::TooPrecise));
        assert_eq!(Money::parse("1.500"), Money::parse("1.5"));
    }

    #[test]
    fn nothing_has_no_sign() {
        let nothing =
            [Money::ZERO.checked_sub(Money::ZERO), Money::parse("-0"), Money::parse("-0.00")];
        for nothing in nothing {
            assert_eq!(nothing.unwrap().to_string(), "0.00");
        }
    }

    #[test]
    fn half_a_penny_rounds_up() {
        let rate = Decimal::new(2, 1);
        assert_eq!(Money::parse("0.12").and_then(|m| m.part(rate)), Money::parse("0.02"));
        assert_eq!(Money::parse("0.13").and_then(|m| m.part(rate)), Money::parse("0.03"));
        assert_eq!(Money::parse("0.025").and_then(|m| m.part(rate)), Err(MoneyError::TooPrecise));
        let half = Decimal::new(5, 1);
        assert_eq!(Money::parse("0.01").and_then(|m| m.part(half)), Money::parse("0.01"));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(hundredths in -99_999_999_999_999i128..=99_999_999_999_999) {
            let money = Money::from_hundredths(hundredths).unwrap();
            prop_assert_eq!(Money::parse(&money.to_string()).unwrap(), money);
            prop_assert_eq!(money.hundredths(), hundredths);
        }

        #[test]
        fn adding_and_taking_away_is_exact(a in -9_999_999i128..9_999_999, b in -9_999_999i128..9_999_999) {
            let (a, b) = (Money::from_hundredths(a).unwrap(), Money::from_hundredths(b).unwrap());
            prop_assert_eq!(a.checked_add(b).unwrap().checked_sub(b).unwrap(), a);
        }
    }
}

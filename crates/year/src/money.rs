use std::{
    fmt::{Display, Formatter},
    iter::Sum,
    ops::{Add, Mul, Sub},
};

use proto::common::v1::Money;
use serde::{Deserialize, Deserializer, de::Error};

/// Hundredths: what is added up ten million times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pence(pub(crate) i64);

impl Pence {
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) fn to_money(self) -> Option<Money> {
        Some(Money { amount: self.to_string(), currency_code: rpc::currency().to_owned() })
    }
}

impl Display for Pence {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let all = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", all / 100, all % 100)
    }
}

impl Add for Pence {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Pence {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul<i32> for Pence {
    type Output = Self;
    fn mul(self, count: i32) -> Self {
        Self(self.0 * i64::from(count))
    }
}

impl Sum for Pence {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Self::add)
    }
}

impl<'de> Deserialize<'de> for Pence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (whole, parts) = text.split_once('.').unwrap_or((&text, "0"));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(parts) || !(1..=2).contains(&parts.len()) {
            return Err(D::Error::custom(format!("{text} is no amount")));
        }
        format!("{whole}{parts:0<2}").parse().map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_to_the_penny() {
        let read = |text: &str| serde_json::from_value::<Pence>(text.into());
        for (text, pence) in [("0.50", 50), ("12", 1200), ("3.5", 350), ("1000000.01", 100_000_001)]
        {
            assert_eq!(read(text).unwrap(), Pence(pence), "{text}");
        }
        for text in ["", ".5", "-1.00", "1.005", "1.", "1,00", "1.0.0"] {
            assert!(read(text).is_err(), "{text}");
        }
        let written = [Pence(5), Pence(-250), Pence(120_000)].map(|pence| pence.to_string());
        assert_eq!(written, ["0.05", "-2.50", "1200.00"]);
    }
}

//! Shell globs over characters, exactly as Python's `fnmatch.fnmatchcase` reads them.
//!
//! `*` is anything, `?` one character, `[abc]` one of these, `[a-c]` one of a range, `[!abc]` one
//! that is none of these. Nothing escapes; a `[` that no `]` closes is an ordinary character.

use memchr::memmem::Finder;

/// A compiled glob.
#[derive(Clone, Debug)]
pub struct Glob(Form);

#[derive(Clone, Debug)]
enum Form {
    /// No wildcard.
    Literal(String),
    /// Literals around stars. UTF-8 lets them be compared and found as bytes.
    Stars { first: String, middle: Vec<Finder<'static>>, last: String },
    /// Everything else.
    Pieces(Vec<Piece>),
}

#[derive(Clone, Debug)]
enum Piece {
    Star,
    Any,
    Char(char),
    Set(Set),
}

/// One of (or, negated, none of) these ranges of characters, both ends included.
#[derive(Clone, Debug)]
struct Set {
    is_negated: bool,
    ranges: Vec<(char, char)>,
}

impl Glob {
    /// Compile a glob; every text is one.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        let pieces = pieces_of(&pattern.chars().collect::<Vec<_>>());
        Self(literals_of(&pieces).unwrap_or(Form::Pieces(pieces)))
    }

    /// The one text that this matches, if there is just one and that for want of wildcards.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match &self.0 {
            Form::Literal(text) => Some(text),
            Form::Stars { .. } | Form::Pieces(_) => None,
        }
    }

    /// Whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match &self.0 {
            Form::Literal(literal) => literal == text,
            Form::Stars { first, middle, last } => match_stars(first, middle, last, text),
            Form::Pieces(pieces) => match_pieces(pieces, text),
        }
    }
}

fn match_stars(first: &str, middle: &[Finder<'static>], last: &str, text: &str) -> bool {
    let mut rest = text.as_bytes();
    // Empty slices may point nowhere, and memcmp's masked loads from there are slow.
    if !first.is_empty() {
        let Some(after) = rest.strip_prefix(first.as_bytes()) else { return false };
        rest = after;
    }
    if !last.is_empty() {
        let Some(before) = rest.strip_suffix(last.as_bytes()) else { return false };
        rest = before;
    }
    for finder in middle {
        // The leftmost place leaves the most for what follows, so it is the only one to try.
        let Some(at) = finder.find(rest) else { return false };
        rest = &rest[at + finder.needle().len()..];
    }
    true
}

/// Only the last star is ever given more: what the ones before it took is the least they could.
/// So the cost is at most the product of both lengths.
fn match_pieces(pieces: &[Piece], text: &str) -> bool {
    let mut rest = text.chars();
    let mut at = 0;
    let mut retry = None;
    loop {
        if let Some(Piece::Star) = pieces.get(at) {
            at += 1;
            retry = Some((at, rest.clone()));
            continue;
        }
        let next = rest.next();
        match (pieces.get(at), next) {
            (None, None) => return true,
            (Some(piece), Some(char)) if piece.takes(char) => at += 1,
            // The text has ended, so giving a star more of it cannot help.
            (Some(_), None) => return false,
            _ => {
                let Some((after_star, from)) = &mut retry else { return false };
                if from.next().is_none() {
                    return false;
                }
                at = *after_star;
                rest = from.clone();
            }
        }
    }
}

impl Piece {
    fn takes(&self, char: char) -> bool {
        match self {
            Self::Star | Self::Any => true,
            Self::Char(own) => *own == char,
            Self::Set(set) => set.takes(char),
        }
    }
}

impl Set {
    fn takes(&self, char: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&char)) != self.is_negated
    }
}

fn pieces_of(pattern: &[char]) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(pattern.len());
    let mut rest = pattern;
    while let [first, after @ ..] = rest {
        rest = after;
        pieces.push(match first {
            '*' => Piece::Star,
            '?' => Piece::Any,
            '[' => match set_length(after) {
                Some(length) => {
                    rest = &after[length + 1..];
                    Piece::Set(set_of(&after[..length]))
                }
                None => Piece::Char('['),
            },
            char => Piece::Char(*char),
        });
    }
    pieces
}

/// Returns where the `]` stands that closes the set; one at its very start belongs to it.
fn set_length(after: &[char]) -> Option<usize> {
    let negation = usize::from(after.first() == Some(&'!'));
    let start = negation + usize::from(after.get(negation) == Some(&']'));
    after.iter().skip(start).position(|char| *char == ']').map(|at| at + start)
}

/// Reads what stands between the brackets.
///
/// A range that ends before it begins is dropped, and only then is the first character looked at
/// for a `!`: so `[z-a!b]` is `[!b]`. No one would write that, but both engines must agree on it.
fn set_of(inside: &[char]) -> Set {
    let mut tokens = tokens_of(inside);
    let is_negated = tokens.first() == Some(&Token::Char('!'));
    if is_negated {
        tokens.remove(0);
    }
    let mut ranges = Vec::with_capacity(tokens.len());
    let mut rest = tokens.as_slice();
    while let [first, after @ ..] = rest {
        let low = first.char();
        rest = after;
        let mut high = low;
        if let [Token::Hyphen, end, after @ ..] = rest {
            high = end.char();
            rest = after;
        }
        ranges.push((low, high));
    }
    Set { is_negated, ranges }
}

/// A character of a set, or the hyphen between a range's ends.
#[derive(Clone, Copy, PartialEq)]
enum Token {
    Char(char),
    Hyphen,
}

impl Token {
    fn char(self) -> char {
        match self {
            Self::Char(char) => char,
            Self::Hyphen => '-',
        }
    }
}

/// Tells the hyphens that make ranges from those that are members, and drops empty ranges.
///
/// A hyphen is a member at the start, at the end, and behind a range.
fn tokens_of(inside: &[char]) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(inside.len());
    // Before this place a hyphen is a member.
    let mut earliest = if inside.first() == Some(&'!') { 2 } else { 1 };
    for (at, char) in inside.iter().enumerate() {
        let is_operator = *char == '-' && at >= earliest && at + 1 < inside.len();
        if is_operator {
            earliest = at + 3;
        }
        let is_end = tokens.last() == Some(&Token::Hyphen);
        tokens.push(if is_operator { Token::Hyphen } else { Token::Char(*char) });
        if let [.., Token::Char(low), Token::Hyphen, Token::Char(high)] = tokens.as_slice()
            && is_end
            && low > high
        {
            tokens.truncate(tokens.len() - 3);
        }
    }
    tokens
}

/// Returns the faster form of a glob whose only wildcard is the star.
fn literals_of(pieces: &[Piece]) -> Option<Form> {
    let mut literals = vec![String::new()];
    for piece in pieces {
        match piece {
            Piece::Char(char) => literals.last_mut()?.push(*char),
            Piece::Star => literals.push(String::new()),
            Piece::Any | Piece::Set(_) => return None,
        }
    }
    let last = literals.pop()?;
    if literals.is_empty() {
        return Some(Form::Literal(last));
    }
    let first = literals.remove(0);
    let middle = literals.iter().filter(|literal| !literal.is_empty());
    let middle = middle.map(|literal| Finder::new(literal).into_owned()).collect();
    Some(Form::Stars { first, middle, last })
}

#[cfg(test)]
mod tests;

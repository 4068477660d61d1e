//! How the pieces of an expression belong together (pure).

use super::Wrong;
use super::tokens::{Token, tokens};
use super::value::Value;

/// Brackets, signs and choices within each other.
const DEPTH_MAX: usize = 100;

/// An expression.
#[derive(Debug)]
pub(super) enum Node {
    Value(Value),
    Unary(&'static str, Box<Node>),
    Binary(&'static str, Box<Node>, Box<Node>),
    /// Condition, value if it is true, value if not; without the first of both the condition itself.
    Choice(Box<Node>, Option<Box<Node>>, Box<Node>),
}

/// Signs between two operands, from those that bind least; of some there is only one in a row.
const LEVELS: &[(&[&str], bool)] = &[
    (&["||"], true),
    (&["&&"], true),
    (&["|"], true),
    (&["^"], true),
    (&["&"], true),
    (&["==", "!="], false),
    (&["<", ">", "<=", ">="], false),
    (&["+", "-"], true),
    (&["*", "/", "%"], true),
];

/// Reads an expression; an empty one is nothing.
pub(super) fn parse(text: &str) -> Result<Node, Wrong> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(Node::Value(Value::Null));
    }
    let mut parser = Parser {
        rest: &tokens,
        depth: 0,
    };
    let node = parser.expression()?;
    match parser.rest {
        [] => Ok(node),
        _ => Err(PARSING),
    }
}

const PARSING: Wrong = Wrong::Jexl("parsing error");

struct Parser<'a> {
    rest: &'a [Token],
    depth: usize,
}

impl Parser<'_> {
    /// Takes one of these signs, if it comes next.
    fn takes(&mut self, signs: &[&str]) -> Option<&'static str> {
        let (first, rest) = self.rest.split_first()?;
        let Token::Sign(sign) = *first else {
            return None;
        };
        signs.contains(&sign).then(|| {
            self.rest = rest;
            sign
        })
    }

    fn needs(&mut self, sign: &str) -> Result<(), Wrong> {
        self.takes(&[sign]).map(|_| ()).ok_or(PARSING)
    }

    fn expression(&mut self) -> Result<Node, Wrong> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Wrong::Jexl("too deep"));
        }
        let condition = self.level(0)?;
        let node = match self.takes(&["?", "?:"]) {
            None => condition,
            Some("?") => {
                let then = self.expression()?;
                self.needs(":")?;
                let other = self.expression()?;
                Node::Choice(condition.into(), Some(then.into()), other.into())
            }
            Some(_) => Node::Choice(condition.into(), None, self.expression()?.into()),
        };
        self.depth -= 1;
        Ok(node)
    }

    fn level(&mut self, at: usize) -> Result<Node, Wrong> {
        let Some(&(signs, again)) = LEVELS.get(at) else {
            return self.unary();
        };
        let mut left = self.level(at + 1)?;
        while let Some(sign) = self.takes(signs) {
            let right = self.level(at + 1)?;
            left = Node::Binary(sign, left.into(), right.into());
            if !again {
                break;
            }
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, Wrong> {
        let mut signs = Vec::new();
        while let Some(sign) = self.takes(&["-", "~", "!"]) {
            signs.push(sign);
        }
        let mut node = self.operand()?;
        while let Some(sign) = signs.pop() {
            node = Node::Unary(sign, node.into());
        }
        Ok(node)
    }

    fn operand(&mut self) -> Result<Node, Wrong> {
        if self.takes(&["("]).is_some() {
            let node = self.expression()?;
            self.needs(")")?;
            return Ok(node);
        }
        let (first, rest) = self.rest.split_first().ok_or(PARSING)?;
        self.rest = rest;
        match first {
            Token::Value(value) => Ok(Node::Value(value.clone())),
            Token::Name => self.variable(),
            Token::Sign(_) => Err(PARSING),
        }
    }

    /// A name with dots: nothing is known by any name.
    fn variable(&mut self) -> Result<Node, Wrong> {
        while self.takes(&["."]).is_some() {
            match self.rest.split_first() {
                Some((Token::Name | Token::Value(Value::Int(_) | Value::Text(_)), rest)) => self.rest = rest,
                _ => return Err(PARSING),
            }
        }
        Ok(Node::Value(Value::Null))
    }
}

//! A walk over every field of a parse tree, of whatever kind.
//!
//! The tree's types have no reflection, but they all derive `Serialize`: a serializer that writes nothing sees every
//! struct, field and value by name. So what is looked for in a tree cannot hide in a node that nobody thought of.

use serde::ser::{
    self, Impossible, Serialize, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct, Serializer,
};

/// What a walk reports, depth first, in the order of the grammar's own field numbers.
pub(crate) trait Visit {
    /// A struct begins. `false` skips it: nothing inside is reported, and no `leave`.
    fn enter(&mut self, kind: &'static str) -> bool;
    /// The field that the next events belong to.
    fn field(&mut self, name: &'static str);
    /// A string.
    fn text(&mut self, value: &str);
    /// A number, an enumeration or a truth value.
    fn number(&mut self, value: i64);
    /// A list of `len` items begins, or an optional value that is there.
    fn many(&mut self, _len: usize) {}
    /// The struct ends.
    fn leave(&mut self, kind: &'static str);
}

/// Walks `tree`. The wrappers `Node` (a struct with one field) are not reported.
pub(crate) fn visit<T: Serialize + ?Sized>(tree: &T, visitor: &mut dyn Visit) {
    // Walk never fails: its error type has no values
    let _: Result<(), Never> = tree.serialize(Walk(visitor));
}

/// The kind of a node, as the parser names it.
pub(crate) fn kind_of(node: &pg_query::NodeEnum) -> &'static str {
    struct First(&'static str);
    impl Visit for First {
        fn enter(&mut self, kind: &'static str) -> bool {
            self.0 = kind;
            false
        }
        fn field(&mut self, _: &'static str) {}
        fn text(&mut self, _: &str) {}
        fn number(&mut self, _: i64) {}
        fn leave(&mut self, _: &'static str) {}
    }
    let mut first = First("node");
    visit(node, &mut first);
    first.0
}

/// Not generic: the tree's types are many, and each visitor would have its own copy of the walk over all of them.
struct Walk<'v>(&'v mut dyn Visit);

/// The error of a walk, which has none.
#[derive(Debug)]
enum Never {}

impl std::fmt::Display for Never {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Never {}

impl ser::Error for Never {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        unreachable!("the tree's derived serializers make no errors of their own")
    }
}

/// Inside a struct, a list or a wrapper.
struct Inside<'v> {
    visitor: &'v mut dyn Visit,
    /// `None` for a skipped struct, `Some("")` for what is not reported itself.
    kind: Option<&'static str>,
}

impl<'v> Serializer for Walk<'v> {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Inside<'v>;
    type SerializeTuple = Inside<'v>;
    type SerializeTupleStruct = Inside<'v>;
    type SerializeTupleVariant = Impossible<(), Never>;
    type SerializeMap = Impossible<(), Never>;
    type SerializeStruct = Inside<'v>;
    type SerializeStructVariant = Impossible<(), Never>;

    fn serialize_bool(self, v: bool) -> Result<(), Never> {
        self.0.number(v.into());
        Ok(())
    }
    fn serialize_i8(self, v: i8) -> Result<(), Never> {
        self.0.number(v.into());
        Ok(())
    }
    fn serialize_i16(self, v: i16) -> Result<(), Never> {
        self.0.number(v.into());
        Ok(())
    }
    fn serialize_i32(self, v: i32) -> Result<(), Never> {
        self.0.number(v.into());
        Ok(())
    }
    fn serialize_i64(self, v: i64) -> Result<(), Never> {
        self.0.number(v);
        Ok(())
    }
    fn serialize_u8(self, v: u8) -> Result<(), Never> {
        self.0.number(v.into());
        Ok(())
    }
    fn serialize_u16(self, v: u16) -> Result<(), Never> {
        self.0.number(v.into());
        Ok(())
    }
    fn serialize_u32(self, v: u32) -> Result<(), Never> {
        self.0.number(v.into());
        Ok(())
    }
    fn serialize_u64(self, v: u64) -> Result<(), Never> {
        // the same bits, so that equal trees stay equal and different ones different
        self.0.number(i64::from_ne_bytes(v.to_ne_bytes()));
        Ok(())
    }
    fn serialize_f32(self, v: f32) -> Result<(), Never> {
        self.0.number(v.to_bits().into());
        Ok(())
    }
    fn serialize_f64(self, v: f64) -> Result<(), Never> {
        self.0.number(i64::from_ne_bytes(v.to_bits().to_ne_bytes()));
        Ok(())
    }
    fn serialize_char(self, v: char) -> Result<(), Never> {
        self.0.number(u32::from(v).into());
        Ok(())
    }
    fn serialize_str(self, v: &str) -> Result<(), Never> {
        self.0.text(v);
        Ok(())
    }
    fn serialize_bytes(self, v: &[u8]) -> Result<(), Never> {
        for byte in v {
            self.0.number((*byte).into());
        }
        Ok(())
    }
    fn serialize_none(self) -> Result<(), Never> {
        self.0.many(0);
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        self.0.many(1);
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Never> {
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Never> {
        Ok(())
    }
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), Never> {
        self.0.number(index.into());
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        value.serialize(self)
    }
    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, Never> {
        self.0.many(len.unwrap_or(usize::MAX));
        Ok(Inside { visitor: self.0, kind: Some("") })
    }
    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Never> {
        Ok(Inside { visitor: self.0, kind: Some("") })
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Never> {
        Ok(Inside { visitor: self.0, kind: Some("") })
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Never> {
        unreachable!("the tree has no tuple variants")
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Never> {
        unreachable!("the tree has no maps")
    }
    fn serialize_struct(self, kind: &'static str, _: usize) -> Result<Self::SerializeStruct, Never> {
        let kind = match kind {
            "Node" => Some(""),
            kind => self.0.enter(kind).then_some(kind),
        };
        Ok(Inside { visitor: self.0, kind })
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Never> {
        unreachable!("the tree has no struct variants")
    }
}

impl SerializeStruct for Inside<'_> {
    type Ok = ();
    type Error = Never;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Never> {
        match self.kind {
            None => Ok(()),
            Some("") => value.serialize(Walk(self.visitor)),
            Some(_) => {
                self.visitor.field(name);
                value.serialize(Walk(self.visitor))
            }
        }
    }

    fn end(self) -> Result<(), Never> {
        if let Some(kind) = self.kind
            && !kind.is_empty()
        {
            self.visitor.leave(kind);
        }
        Ok(())
    }
}

impl SerializeSeq for Inside<'_> {
    type Ok = ();
    type Error = Never;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        value.serialize(Walk(self.visitor))
    }

    fn end(self) -> Result<(), Never> {
        Ok(())
    }
}

impl SerializeTuple for Inside<'_> {
    type Ok = ();
    type Error = Never;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        value.serialize(Walk(self.visitor))
    }

    fn end(self) -> Result<(), Never> {
        Ok(())
    }
}

impl SerializeTupleStruct for Inside<'_> {
    type Ok = ();
    type Error = Never;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        value.serialize(Walk(self.visitor))
    }

    fn end(self) -> Result<(), Never> {
        Ok(())
    }
}

//! Values at the edges, by type; as SQL that gives one column.

/// For each type that has a mask other than `NULL`: its name, and where its values come from.
pub const EDGES: &[(&str, &str)] = &[
    (
        "date",
        "SELECT v::date FROM unnest(ARRAY['2024-02-29', '2024-01-01', '2024-12-31', '2023-12-31', '1937-01-01', '1937-12-31',
          '1936-12-31', '1936-01-01', '1899-12-31', '1900-02-28', '2000-02-29', '0001-01-01', '0001-12-31 BC', '0001-01-01 BC',
          '0044-03-15 BC', '4713-01-01 BC', '4713-12-31 BC', '4714-11-24 BC', '4714-12-31 BC', '9999-12-31', '10000-01-01',
          '293999-12-31', '294000-01-01', '294276-12-31', '294277-01-01', '5874897-12-31', 'infinity', '-infinity', NULL]) v
         UNION ALL SELECT '1800-01-01'::date + (i * 7919) % 200000 FROM generate_series(1, 3000) i
         UNION ALL SELECT '4713-01-01 BC'::date + (i * 104729) % 100000000 FROM generate_series(1, 1000) i",
    ),
    (
        "timestamp",
        "SELECT v::timestamp FROM unnest(ARRAY['2024-12-31 23:59:59.999999', '2025-01-01', '2024-02-29 12:00', '1936-12-31 23:59:59.999999',
          '1937-01-01', '0001-01-01', '0001-12-31 23:59:59.999999 BC', '4713-01-01 BC', '4714-11-24 BC', '4714-12-31 23:59:59.999999 BC',
          '294276-12-31 23:59:59.999999', '294276-01-01', 'infinity', '-infinity', NULL]) v
         UNION ALL SELECT '1800-01-01'::timestamp + (i::int8 * 7919 * 86399 % 12000000000) * interval '1 second' FROM generate_series(1, 3000) i",
    ),
    (
        "timestamptz",
        "SELECT v::timestamptz FROM unnest(ARRAY['2024-12-31 23:59:59.999999+00', '2025-01-01+00', '2025-01-01 00:30+01', '2024-12-31 23:30-01',
          '2024-12-31 12:00-12', '2025-01-01 12:00+14', '1936-12-31 23:59:59.999999+00', '1937-01-01 00:30+01', '1937-01-01+00',
          '0001-12-31 23:59:59.999999+00 BC', '4713-01-01 00:00+00 BC', '4714-11-24 00:00+00 BC', '4714-12-31 23:59+00 BC',
          '294276-12-31 23:59:59.999999+00', 'infinity', '-infinity', NULL]) v
         UNION ALL SELECT '1800-01-01 00:00+00'::timestamptz + (i::int8 * 7919 * 86399 % 12000000000) * interval '1 second'
          FROM generate_series(1, 3000) i",
    ),
    (
        "int2",
        "SELECT v::int2 FROM unnest(ARRAY[0, -1, 1, 88, 89, 90, 91, 120, 300, 999, 1000, 1799, 1800, 1936, 1937, 1938, 2024, 2299, 2300,
          9999, 32767, -32768, NULL]) v",
    ),
    (
        "int4",
        "SELECT v::int4 FROM unnest(ARRAY[0, -1, 1, 88, 89, 90, 91, 120, 300, 999, 1799, 1800, 1936, 1937, 1938, 2024, 2139, 2299, 2300,
          9999, 10000, 20240229, 2147483647, -2147483648, NULL]) v UNION ALL SELECT i FROM generate_series(-10, 2400) i",
    ),
    (
        "int8",
        "SELECT v::int8 FROM unnest(ARRAY[0, -1, 89, 90, 91, 1799, 1800, 1936, 1937, 2024, 2299, 2300, 9223372036854775807,
          -9223372036854775808, NULL]) v",
    ),
    (
        "numeric",
        "SELECT v::numeric FROM unnest(ARRAY['0', '0.00', '-0.5', '-1', '1', '88.99', '89', '89.5', '89.999999999999999999999', '90', '90.0',
          '90.1', '300', '999', '1799', '1800', '1936', '1936.9999', '1937', '1937.0', '1937.000000', '1937.5', '2024', '2299', '2299.5', '2300',
          '9999', '10000', '1e300', '-1e300', '1e-300', 'NaN', 'Infinity', '-Infinity', NULL]) v",
    ),
    (
        "float4",
        "SELECT v::float4 FROM unnest(ARRAY['0', '-1', '-0.5', '0.5', '1', '89', '89.5', '89.99999', '90', '91', '300', '1937', 'NaN',
          'Infinity', '-Infinity', '1e38', '1e-38', NULL]) v",
    ),
    (
        "float8",
        "SELECT v::float8 FROM unnest(ARRAY['0', '-1', '-0.5', '0.5', '1', '89', '89.5', '89.99999999999999', '90', '91', '300', '1937', 'NaN',
          'Infinity', '-Infinity', '1e308', '1e-308', NULL]) v",
    ),
    ("text", TEXTS),
    ("varchar", TEXTS),
    ("bpchar", TEXTS),
    ("citext", TEXTS),
    // longer ones are cut
    ("name", "SELECT v FROM (SELECT v::name AS v FROM (VALUES ('02139'), ('M-4711'), (''), ('bob@x.org'), (NULL), (repeat('x', 63))) t(v)) t"),
    (
        "uuid",
        "SELECT v::uuid FROM unnest(ARRAY['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
          '80000000-0000-0000-8000-000000000000', '7fffffff-ffff-ffff-7fff-ffffffffffff', NULL]) v
         UNION ALL SELECT md5(i::text)::uuid FROM generate_series(1, 300) i",
    ),
    (
        "bytea",
        r"SELECT v FROM (VALUES (''::bytea), ('\x00'), ('\x5c'), ('\xff00ff'), (NULL), (convert_to(repeat('x', 5000), 'UTF8')),
          (decode(repeat('ab', 1048576), 'hex')), (decode(repeat('ab', 1048577), 'hex'))) t(v)",
    ),
];

/// Identifiers, ZIP codes and e-mail addresses, in and out of form.
const TEXTS: &str = r#"SELECT v FROM (VALUES
    (NULL), (''), (' '), ('   '), ('02139'), ('02139-4307'), ('021394307'), ('03601'), ('20500'), ('36925'), ('89399'), ('0213'), ('021390'),
    ('02139x'), ('x02139'), ('K1A 0B1'), ('02139' || chr(10)), ('x' || chr(10) || '02139'), ('02139  '), (' 02139'), ('02139 4307'), ('02139--4307'),
    ('٠٢١٣٩'), ('０２１３９'),
    ('M-4711'), ('m-4711'), ('M-4711 '), (' M-4711'), ('123-45-6789'), ('123456789012345'), ('1234567890123456'), ('äöüäöüä'), ('äöüäöüäö'),
    ('\'), ('\\'), ('\x41'), ('\\x41'), ('\101'), ('\a\'), ('Ünïcode'), ('日本語'), ('😀'), (chr(1)), (chr(127)), (chr(1114111)), (''''), ('""'),
    ('$$'), ('%s'), (repeat('x', 14)), (repeat('x', 15)), (repeat('x', 16)), (repeat('y', 55)), (repeat('y', 56)), (repeat('y', 63)),
    (repeat('y', 64)), (repeat('y', 65)), (repeat('\', 15)), (repeat('z', 1048576)), (repeat('z', 1048577)), (repeat('ä', 524289)),
    ('bob@example.org'), ('Bob@EXAMPLE.Org'), ('a@b@c.de'), ('bob'), ('bob@'), ('@x.org'), ('bob@localhost'), ('bob@x.org '), ('bob@x.org (home: 555-1234)'),
    ('<bob@x.org>'), ('bob@[10.0.0.1]'), ('bob@10.0.0.1'), ('bob@x..org'), ('bob@.org'), ('bob@x.org.'), ('bob@münchen.de'), ('bob@xn--mnchen-3ya.de'),
    ('bob@x.org' || chr(10)), ('x@y.org' || chr(10) || 'z'), ('bob@sub.mail.example.co.uk'), ('bob@x_y.org'), ('bob@İ.COM'), ('BOB@I.COM'), ('bob@x.o1')
    ) t(v) UNION ALL SELECT lpad((i * 1237 % 100000)::text, 5, '0') FROM generate_series(1, 500) i"#;

/// Types whose only mask is `NULL`, each with a value; the name of the type with a length if it can have one.
pub const OTHERS: &[(&str, &str)] = &[
    ("bool", "true"),
    ("bit(3)", "B'101'"),
    ("varbit(5)", "B'101'"),
    ("\"char\"", "'x'"),
    ("time(3)", "'10:00'"),
    ("timetz", "'10:00+02'"),
    ("interval", "'89 years'"),
    ("money", "'1.00'"),
    ("inet", "'10.0.0.1'"),
    ("cidr", "'10.0.0.0/8'"),
    ("macaddr", "'08:00:2b:01:02:03'"),
    ("macaddr8", "'08:00:2b:01:02:03:04:05'"),
    ("json", "'{\"a\": 1}'"),
    ("jsonb", "'{\"a\": 1}'"),
    ("jsonpath", "'$.a'"),
    ("xml", "'<a/>'"),
    ("oid", "1"),
    ("pg_lsn", "'0/1'"),
    ("point", "'(1,2)'"),
    ("line", "'{1,2,3}'"),
    ("lseg", "'((1,2),(3,4))'"),
    ("box", "'((1,2),(3,4))'"),
    ("path", "'((1,2),(3,4))'"),
    ("polygon", "'((1,2),(3,4))'"),
    ("circle", "'<(1,2),3>'"),
    ("tsvector", "'a'"),
    ("tsquery", "'a'"),
    ("int4range", "'[1,2)'"),
    ("int8range", "'[1,2)'"),
    ("numrange", "'[1,2)'"),
    ("daterange", "'[2024-01-02,2024-01-03)'"),
    ("tsrange", "'[2024-01-02,2024-01-03)'"),
    ("tstzrange", "'[2024-01-02,2024-01-03)'"),
    ("datemultirange", "'{[2024-01-02,2024-01-03)}'"),
    ("int4multirange", "'{[1,2)}'"),
    ("text[]", "'{a}'"),
    ("varchar(5)[]", "'{a}'"),
    ("char(5)[]", "'{a}'"),
    ("bit(3)[]", "'{101}'"),
    ("\"char\"[]", "'{a}'"),
    ("date[]", "'{2024-01-02}'"),
    ("timestamptz[]", "'{2024-01-02}'"),
    ("numeric(5, 2)[]", "'{1}'"),
    ("uuid[]", "'{00000000-0000-0000-0000-000000000000}'"),
    ("bytea[]", "'{a}'"),
    ("jsonb[]", "'{1}'"),
    ("daterange[]", "'{\"[2024-01-02,2024-01-03)\"}'"),
    ("kinds.mood", "'calm'"),
    ("kinds.mood[]", "'{calm}'"),
    // named like the extension's type, which has masks; an enumeration has none, and refuses what it does not list
    ("lookalike.citext", "'calm'"),
    ("ext.hstore", "'a=>1'"),
    ("ext.hstore[]", "ARRAY['a=>1'::ext.hstore]"),
];

/// Types that could run code of the database when they are cast, or have a domain inside: they are shown as a `NULL`
/// of `text`.
pub const AS_TEXT: &[(&str, &str)] = &[
    ("kinds.pair", "'(1,2)'"),
    ("kinds.pair[]", "'{\"(1,2)\"}'"),
    ("kinds.floats", "'[1,2)'"),
    ("kinds.strict[]", "'{x}'"),
    // of an extension that nobody knows
    ("ext.isbn13", "'978-0-393-04002-9'"),
];

/// Domains, with the type that is shown in their place.
pub const DOMAINS: &[(&str, &str, &str)] = &[
    ("kinds.strict", "text", "'x'"),
    ("kinds.stricter", "text", "'x'"),
    ("kinds.number", "numeric", "5"),
    ("kinds.list", "text[]", "'{x}'"),
    ("kinds.day", "date", "'2024-02-03'"),
];

//! Functions and types of common extensions, by extension.
//!
//! A name counts only for what the catalog says belongs to the extension (`pg_depend`, type `e`), and only where its code
//! is the server's own kind: C, or an expression in SQL over functions of `pg_catalog` ([`super::expression`]). So a
//! function that somebody put beside them under the same name is still nobody's. Operators and casts are known by the
//! function behind them.
//!
//! Every function here computes on its arguments. Left out on purpose: what makes a row of any type (`populate_record`
//! and `#=` of hstore run the checks of its domains), changes the session (`set_limit`), brings stored ciphertext into
//! the clear or a key into the text of a statement (`decrypt`, `pgp_*`), or is a support function of an index. Whole
//! extensions that are left out: `tablefunc` and `dblink` run SQL from a string, `postgres_fdw` and `file_fdw` read
//! elsewhere, the functions in SQL of `earthdistance` call whatever is found on the path.

/// What of an extension may be used.
#[derive(Debug)]
pub(crate) struct Extension {
    name: &'static str,
    functions: &'static [&'static str],
    types: &'static [&'static str],
}

impl Extension {
    pub(crate) fn has_function(&self, name: &str) -> bool {
        self.functions.contains(&name)
    }

    pub(crate) fn has_type(&self, name: &str) -> bool {
        self.types.contains(&name)
    }
}

#[rustfmt::skip]
const EXTENSIONS: &[Extension] = &[
    // an index of it may bring back the distance that it sorts by, `<->`
    Extension { name: "btree_gist", types: &[], functions: &[
        "cash_dist", "date_dist", "float4_dist", "float8_dist", "int2_dist", "int4_dist", "int8_dist", "interval_dist",
        "oid_dist", "time_dist", "ts_dist", "tstz_dist",
    ] },
    Extension { name: "citext", types: &["citext"], functions: &[
        "citext", "citext_cmp", "citext_eq", "citext_ge", "citext_gt", "citext_hash", "citext_hash_extended",
        "citext_larger", "citext_le", "citext_lt", "citext_ne", "citext_pattern_cmp", "citext_pattern_ge",
        "citext_pattern_gt", "citext_pattern_le", "citext_pattern_lt", "citext_smaller", "max", "min", "regexp_match",
        "regexp_matches", "regexp_replace", "regexp_split_to_array", "regexp_split_to_table", "replace", "split_part",
        "strpos", "texticlike", "texticnlike", "texticregexeq", "texticregexne", "translate",
    ] },
    Extension { name: "cube", types: &["cube"], functions: &[
        "cube", "cube_cmp", "cube_contained", "cube_contains", "cube_coord", "cube_coord_llur", "cube_dim",
        "cube_distance", "cube_enlarge", "cube_eq", "cube_ge", "cube_gt", "cube_inter", "cube_is_point", "cube_le",
        "cube_ll_coord", "cube_lt", "cube_ne", "cube_overlap", "cube_size", "cube_subset", "cube_union",
        "cube_ur_coord", "distance_chebyshev", "distance_taxicab",
    ] },
    Extension { name: "fuzzystrmatch", types: &[], functions: &[
        "daitch_mokotoff", "difference", "dmetaphone", "dmetaphone_alt", "levenshtein", "levenshtein_less_equal",
        "metaphone", "soundex", "text_soundex",
    ] },
    Extension { name: "hstore", types: &["hstore"], functions: &[
        "akeys", "avals", "defined", "delete", "each", "exist", "exists_all", "exists_any", "fetchval", "hs_concat",
        "hs_contained", "hs_contains", "hstore", "hstore_cmp", "hstore_eq", "hstore_ge", "hstore_gt", "hstore_hash",
        "hstore_hash_extended", "hstore_le", "hstore_lt", "hstore_ne", "hstore_to_array", "hstore_to_json",
        "hstore_to_json_loose", "hstore_to_jsonb", "hstore_to_jsonb_loose", "hstore_to_matrix", "isdefined", "isexists",
        "skeys", "slice", "slice_array", "svals", "tconvert",
    ] },
    Extension { name: "intarray", types: &["query_int"], functions: &[
        "_int_contained", "_int_contains", "_int_different", "_int_inter", "_int_overlap", "_int_same", "_int_union",
        "boolop", "icount", "idx", "intarray_del_elem", "intarray_push_array", "intarray_push_elem", "intset",
        "intset_subtract", "intset_union_elem", "querytree", "rboolop", "sort", "sort_asc", "sort_desc", "subarray",
        "uniq",
    ] },
    Extension { name: "ltree", types: &["ltree", "lquery", "ltxtquery"], functions: &[
        "_lt_q_regex", "_lt_q_rregex", "_ltq_extract_regex", "_ltq_regex", "_ltq_rregex", "_ltree_extract_isparent",
        "_ltree_extract_risparent", "_ltree_isparent", "_ltree_r_isparent", "_ltree_r_risparent", "_ltree_risparent",
        "_ltxtq_exec", "_ltxtq_extract_exec", "_ltxtq_rexec", "hash_ltree", "hash_ltree_extended", "index", "lca",
        "lt_q_regex", "lt_q_rregex", "ltq_regex", "ltq_rregex", "ltree2text", "ltree_addltree", "ltree_addtext",
        "ltree_cmp", "ltree_eq", "ltree_ge", "ltree_gt", "ltree_isparent", "ltree_le", "ltree_lt", "ltree_ne",
        "ltree_risparent", "ltree_textadd", "ltxtq_exec", "ltxtq_rexec", "nlevel", "subltree", "subpath", "text2ltree",
    ] },
    Extension { name: "pg_trgm", types: &[], functions: &[
        "show_trgm", "similarity", "similarity_dist", "similarity_op", "strict_word_similarity",
        "strict_word_similarity_commutator_op", "strict_word_similarity_dist_commutator_op",
        "strict_word_similarity_dist_op", "strict_word_similarity_op", "word_similarity",
        "word_similarity_commutator_op", "word_similarity_dist_commutator_op", "word_similarity_dist_op",
        "word_similarity_op",
    ] },
    Extension { name: "pgcrypto", types: &[], functions: &[
        "crypt", "digest", "gen_random_bytes", "gen_random_uuid", "gen_salt", "hmac",
    ] },
    // Operators, casts and what is in C in every overload (PostGIS 3). Left out: what reads statistics
    // (`st_estimatedextent`), tables of reference systems or of its own, and what is in SQL or PL/pgSQL, as the overloads
    // of `st_distance` and `st_astext` on text are. Read off its scripts, not run here.
    Extension { name: "postgis", types: &["geometry", "geography", "box2d", "box3d"], functions: &[
        "box", "box2d", "box3d", "bytea", "geography", "geography_cmp", "geography_distance_knn", "geography_eq",
        "geography_ge", "geography_gt", "geography_le", "geography_lt", "geography_overlaps", "geometry",
        "geometry_above", "geometry_below", "geometry_cmp", "geometry_contained_3d", "geometry_contains",
        "geometry_contains_3d", "geometry_contains_nd", "geometry_distance_box", "geometry_distance_centroid",
        "geometry_distance_centroid_nd", "geometry_distance_cpa", "geometry_eq", "geometry_ge", "geometry_gt",
        "geometry_hash", "geometry_le", "geometry_left", "geometry_lt", "geometry_neq", "geometry_overabove",
        "geometry_overbelow", "geometry_overlaps", "geometry_overlaps_3d", "geometry_overlaps_nd", "geometry_overleft",
        "geometry_overright", "geometry_right", "geometry_same", "geometry_same_3d", "geometry_same_nd",
        "geometry_within", "geometry_within_nd", "geometrytype", "json", "jsonb", "path", "point", "polygon",
        "st_asbinary", "st_asewkb", "st_azimuth", "st_boundary", "st_buildarea", "st_contains",
        "st_containsproperly", "st_convexhull", "st_coorddim", "st_crosses", "st_dimension", "st_disjoint", "st_dump",
        "st_dumppoints", "st_endpoint", "st_envelope", "st_equals", "st_expand", "st_exteriorring", "st_geogfromtext",
        "st_geohash", "st_geometryn", "st_geometrytype", "st_geomfromewkb", "st_geomfromewkt", "st_geomfromtext",
        "st_hexagongrid", "st_isclosed", "st_isempty", "st_isring", "st_issimple", "st_m", "st_makeenvelope",
        "st_makepoint", "st_makepolygon", "st_makevalid", "st_multi", "st_ndims", "st_npoints",
        "st_numgeometries", "st_numpoints", "st_overlaps", "st_perimeter", "st_point", "st_pointn", "st_pointonsurface",
        "st_relate", "st_reverse", "st_segmentize", "st_setsrid", "st_simplify", "st_simplifypreservetopology",
        "st_squaregrid", "st_srid", "st_startpoint", "st_summary", "st_symdifference", "st_touches", "st_unaryunion",
        "st_within", "st_x", "st_xmax", "st_xmin", "st_y", "st_ymax", "st_ymin", "st_z", "st_zmax",
        "st_zmin", "text",
    ] },
    Extension { name: "unaccent", types: &[], functions: &["unaccent"] },
    Extension { name: "uuid-ossp", types: &[], functions: &[
        "uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v3", "uuid_generate_v4", "uuid_generate_v5",
        "uuid_nil", "uuid_ns_dns", "uuid_ns_oid", "uuid_ns_url", "uuid_ns_x500",
    ] },
    // pgvector 0.8: all of it is in C. Read off its script, not run here.
    Extension { name: "vector", types: &["vector", "halfvec", "sparsevec"], functions: &[
        "array_to_halfvec", "array_to_sparsevec", "array_to_vector", "avg", "binary_quantize", "cosine_distance",
        "halfvec", "halfvec_accum", "halfvec_add", "halfvec_avg", "halfvec_cmp", "halfvec_combine", "halfvec_concat",
        "halfvec_eq", "halfvec_ge", "halfvec_gt", "halfvec_l2_squared_distance", "halfvec_le", "halfvec_lt",
        "halfvec_mul", "halfvec_ne", "halfvec_negative_inner_product", "halfvec_spherical_distance", "halfvec_sub",
        "halfvec_to_float4", "halfvec_to_sparsevec", "halfvec_to_vector", "hamming_distance", "inner_product",
        "jaccard_distance", "l1_distance", "l2_distance", "l2_norm", "l2_normalize", "sparsevec", "sparsevec_cmp",
        "sparsevec_eq", "sparsevec_ge", "sparsevec_gt", "sparsevec_l2_squared_distance", "sparsevec_le", "sparsevec_lt",
        "sparsevec_ne", "sparsevec_negative_inner_product", "sparsevec_to_halfvec", "sparsevec_to_vector", "subvector",
        "sum", "vector", "vector_accum", "vector_add", "vector_avg", "vector_cmp", "vector_combine", "vector_concat",
        "vector_dims", "vector_eq", "vector_ge", "vector_gt", "vector_l2_squared_distance", "vector_le", "vector_lt",
        "vector_mul", "vector_ne", "vector_negative_inner_product", "vector_norm", "vector_spherical_distance",
        "vector_sub", "vector_to_float4", "vector_to_halfvec", "vector_to_sparsevec",
    ] },
];

/// What may be used of the extension of this name.
pub(crate) fn extension(name: &str) -> Option<&'static Extension> {
    EXTENSIONS.iter().find(|extension| extension.name == name)
}

/// Functions of `information_schema` that drivers call (pgjdbc, for the columns of a key).
pub(crate) const INFORMATION_SCHEMA: [&str; 1] = ["_pg_expandarray"];

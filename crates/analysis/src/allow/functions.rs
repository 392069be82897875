//! Functions, by name. A name is on a list only if every overload of it in `pg_catalog`, PostgreSQL 14 to 18, belongs
//! there: `ts_rewrite` and `query_to_xml` run SQL from a string, `lo_get` and `pg_read_file` read what no table holds,
//! `currval` and `nextval` keep state, `pg_column_size` and `pg_relation_size` show lengths; they are not on it.

/// Compute on their arguments, the clock, random numbers and definitions in the catalog (names, types, constraints),
/// and on nothing else. They may fail.
#[rustfmt::skip]
pub(crate) const PURE: [&str; 493] = [
    "abs", "acldefault", "aclexplode", "acos", "acosd", "acosh", "age", "any_value", "area", "array_agg",
    "array_append", "array_cat", "array_dims", "array_fill", "array_length", "array_lower", "array_ndims",
    "array_position", "array_positions", "array_prepend", "array_remove", "array_replace", "array_reverse",
    "array_sample", "array_shuffle", "array_sort", "array_to_json", "array_to_string", "array_to_tsvector",
    "array_upper", "ascii", "asin", "asind", "asinh", "atan", "atan2", "atan2d", "atand", "atanh", "avg", "bit",
    "bit_and", "bit_count", "bit_length", "bit_or", "bit_xor", "bool", "bool_and", "bool_or", "bound_box", "box",
    "bpchar", "broadcast", "btrim", "cardinality", "casefold", "cbrt", "ceil", "ceiling", "center", "char",
    "char_length", "character_length", "chr", "cidr", "circle", "clock_timestamp", "col_description", "concat",
    "concat_ws", "convert", "convert_from", "convert_to", "corr", "cos", "cosd", "cosh", "cot", "cotd", "count",
    "covar_pop", "covar_samp", "crc32", "crc32c", "cume_dist", "current_database", "current_schema", "current_schemas",
    "date", "date_add", "date_bin", "date_part", "date_subtract", "date_trunc", "datemultirange", "daterange", "decode",
    "degrees", "dense_rank", "diagonal", "diameter", "div", "encode", "enum_first", "enum_last", "enum_range", "erf",
    "erfc", "every", "exp", "extract", "factorial", "family", "first_value", "float4", "float8", "floor", "format",
    "format_type", "gamma", "gcd", "gen_random_uuid", "generate_series", "generate_subscripts", "get_bit", "get_byte",
    "getdatabaseencoding", "has_any_column_privilege", "has_column_privilege", "has_database_privilege",
    "has_foreign_data_wrapper_privilege", "has_function_privilege", "has_language_privilege", "has_parameter_privilege",
    "has_schema_privilege", "has_sequence_privilege", "has_server_privilege", "has_table_privilege",
    "has_tablespace_privilege", "has_type_privilege", "hashint4", "hashint8", "hashint8extended", "hashtext",
    "hashtextextended", "height", "host", "hostmask", "in_range", "inet_merge", "inet_same_family", "initcap", "int2",
    "int4", "int4multirange", "int4range", "int4send", "int8", "int8multirange", "int8range", "int8send", "interval",
    "is_normalized", "isclosed", "isempty", "isfinite", "ishorizontal", "isopen", "isparallel", "isperp", "isvertical",
    "json_agg", "json_array_elements", "json_array_elements_text", "json_array_length", "json_build_array",
    "json_build_object", "json_each", "json_each_text", "json_extract_path", "json_extract_path_text", "json_object",
    "json_object_agg", "json_object_keys", "json_strip_nulls", "json_to_record", "json_to_recordset", "json_typeof",
    "jsonb_agg", "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_array_length", "jsonb_build_array",
    "jsonb_build_object", "jsonb_each", "jsonb_each_text", "jsonb_extract_path", "jsonb_extract_path_text",
    "jsonb_insert", "jsonb_object", "jsonb_object_agg", "jsonb_object_keys", "jsonb_path_exists",
    "jsonb_path_exists_tz", "jsonb_path_match", "jsonb_path_match_tz", "jsonb_path_query", "jsonb_path_query_array",
    "jsonb_path_query_array_tz", "jsonb_path_query_first", "jsonb_path_query_first_tz", "jsonb_path_query_tz",
    "jsonb_pretty", "jsonb_set", "jsonb_set_lax", "jsonb_strip_nulls", "jsonb_to_record", "jsonb_to_recordset",
    "jsonb_typeof", "justify_days", "justify_hours", "justify_interval", "lag", "last_value", "lcm", "lead", "left",
    "length", "lgamma", "like", "like_escape", "line", "ln", "log", "log10", "lower", "lower_inc", "lower_inf", "lpad",
    "lseg", "ltrim", "macaddr", "macaddr8", "macaddr8_set7bit", "make_date", "make_interval", "make_time",
    "make_timestamp", "make_timestamptz", "masklen", "max", "md5", "min", "min_scale", "mod", "mode", "money",
    "multirange", "name", "netmask", "network", "normalize", "notlike", "now", "npoints", "nth_value", "ntile",
    "num_nonnulls", "num_nulls", "numeric", "nummultirange", "numnode", "numrange", "obj_description", "octet_length",
    "oid", "overlaps", "overlay", "parse_ident", "path", "pclose", "percent_rank", "percentile_cont", "percentile_disc",
    "pg_basetype", "pg_char_to_encoding", "pg_client_encoding", "pg_collation_for", "pg_collation_is_visible",
    "pg_column_is_updatable", "pg_conversion_is_visible", "pg_describe_object", "pg_encoding_max_length",
    "pg_encoding_to_char", "pg_function_is_visible", "pg_get_catalog_foreign_keys", "pg_get_constraintdef",
    "pg_get_expr", "pg_get_function_arg_default", "pg_get_function_arguments", "pg_get_function_identity_arguments",
    "pg_get_function_result", "pg_get_indexdef", "pg_get_keywords", "pg_get_object_address", "pg_get_partkeydef",
    "pg_get_ruledef", "pg_get_serial_sequence", "pg_get_statisticsobjdef", "pg_get_statisticsobjdef_columns",
    "pg_get_statisticsobjdef_expressions", "pg_get_triggerdef", "pg_get_userbyid", "pg_get_viewdef", "pg_has_role",
    "pg_identify_object", "pg_identify_object_as_address", "pg_index_column_has_property", "pg_index_has_property",
    "pg_indexam_has_property", "pg_is_in_recovery", "pg_is_other_temp_schema", "pg_my_temp_schema",
    "pg_opclass_is_visible", "pg_operator_is_visible", "pg_opfamily_is_visible", "pg_options_to_table",
    "pg_partition_ancestors", "pg_partition_root", "pg_partition_tree", "pg_relation_is_publishable",
    "pg_relation_is_updatable", "pg_sequence_parameters", "pg_size_bytes", "pg_size_pretty",
    "pg_statistics_obj_is_visible", "pg_table_is_visible", "pg_tablespace_location", "pg_timezone_abbrevs",
    "pg_timezone_names", "pg_ts_config_is_visible", "pg_ts_dict_is_visible", "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible", "pg_type_is_visible", "pg_typeof", "phraseto_tsquery", "pi", "plainto_tsquery",
    "point", "polygon", "popen", "position", "pow", "power", "querytree", "quote_ident", "quote_literal",
    "quote_nullable", "radians", "radius", "random", "random_normal", "range_agg", "range_intersect_agg", "range_merge",
    "rank", "regexp_count", "regexp_instr", "regexp_like", "regexp_match", "regexp_matches", "regexp_replace",
    "regexp_split_to_array", "regexp_split_to_table", "regexp_substr", "regr_avgx", "regr_avgy", "regr_count",
    "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "repeat", "replace", "reverse",
    "right", "round", "row_number", "row_security_active", "row_to_json", "rpad", "rtrim", "scale", "set_bit",
    "set_byte", "set_masklen", "setweight", "sha224", "sha256", "sha384", "sha512", "shobj_description", "sign",
    "similar_escape", "similar_to_escape", "sin", "sind", "sinh", "slope", "split_part", "sqrt", "starts_with",
    "statement_timestamp", "stddev", "stddev_pop", "stddev_samp", "string_agg", "string_to_array", "string_to_table",
    "strip", "strpos", "substr", "substring", "sum", "tan", "tand", "tanh", "text", "time", "timestamp", "timestamptz",
    "timetz", "timezone", "to_ascii", "to_bin", "to_char", "to_date", "to_hex", "to_json", "to_jsonb", "to_number",
    "to_oct", "to_regclass", "to_regcollation", "to_regnamespace", "to_regoper", "to_regoperator", "to_regproc",
    "to_regprocedure", "to_regrole", "to_regtype", "to_regtypemod", "to_timestamp", "to_tsquery", "to_tsvector",
    "transaction_timestamp", "translate", "trim_array", "trim_scale", "trunc", "ts_delete", "ts_filter", "ts_headline",
    "ts_rank", "ts_rank_cd", "tsmultirange", "tsquery_phrase", "tsrange", "tstzmultirange", "tstzrange",
    "tsvector_to_array", "unistr", "unnest", "upper", "upper_inc", "upper_inf", "uuid_extract_timestamp",
    "uuid_extract_version", "uuid_send", "uuidv4", "uuidv7", "var_pop", "var_samp", "varbit", "varchar", "variance",
    "version", "websearch_to_tsquery", "width", "width_bucket",
];

/// Not pure, but the server's own, and harmless outside protected data: of the session, its locks and its sequences.
#[rustfmt::skip]
pub(crate) const SESSION: [&str; 71] = [
    "booleq", "current_query", "current_setting", "currval", "enum_larger", "enum_out", "fmgr_c_validator",
    "inet_client_addr", "inet_client_port", "inet_server_addr", "inet_server_port", "int4eq", "json_populate_record",
    "json_populate_recordset", "jsonb_populate_record", "jsonb_populate_recordset", "lastval", "makeaclitem",
    "mxid_age", "nextval", "pg_backend_pid", "pg_blocking_pids", "pg_column_compression", "pg_conf_load_time",
    "pg_current_snapshot", "pg_current_wal_lsn", "pg_current_xact_id", "pg_current_xact_id_if_assigned", "pg_cursor",
    "pg_isolation_test_session_is_blocked", "pg_jit_available", "pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn",
    "pg_lock_status", "pg_postmaster_start_time", "pg_prepared_statement", "pg_relation_filenode",
    "pg_safe_snapshot_blocking_pids", "pg_sequence_last_value", "pg_show_all_settings", "pg_sleep", "pg_sleep_for",
    "pg_sleep_until", "pg_snapshot_xip", "pg_snapshot_xmax", "pg_snapshot_xmin", "pg_stat_clear_snapshot",
    "pg_stat_force_next_flush", "pg_trigger_depth", "pg_visible_in_snapshot", "pg_wal_lsn_diff", "pg_xact_status",
    "set_config", "setseed", "text_larger", "textcat", "timeofday", "ts_debug", "ts_lexize", "ts_parse",
    "ts_token_type", "xml", "xml_is_well_formed", "xml_is_well_formed_content", "xml_is_well_formed_document", "xmlagg",
    "xmlcomment", "xmlconcat", "xmlexists", "xpath", "xpath_exists",
];

/// Read or set a setting by name: allowed with a constant name that [`crate::settings`] allows.
pub(crate) const READS_SETTINGS: [&str; 2] = ["current_setting", "set_config"];

/// Give back what the session holds, which on a classified connection is nothing: asyncpg's pool calls it for each
/// connection that is returned.
pub(crate) const RELEASES: [&str; 1] = ["pg_advisory_unlock_all"];

/// Aggregates (`pg_aggregate`, PostgreSQL 14 to 18), but for those that need `WITHIN GROUP` to be one.
#[rustfmt::skip]
pub(crate) const AGGREGATES: [&str; 50] = [
    "any_value", "array_agg", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "corr", "count",
    "covar_pop", "covar_samp", "every", "json_agg", "json_agg_strict", "json_object_agg", "json_object_agg_strict",
    "json_object_agg_unique", "json_object_agg_unique_strict", "jsonb_agg", "jsonb_agg_strict", "jsonb_object_agg",
    "jsonb_object_agg_strict", "jsonb_object_agg_unique", "jsonb_object_agg_unique_strict", "max", "min", "mode",
    "percentile_cont", "percentile_disc", "range_agg", "range_intersect_agg", "regr_avgx", "regr_avgy", "regr_count",
    "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "stddev", "stddev_pop",
    "stddev_samp", "string_agg", "sum", "var_pop", "var_samp", "variance", "xmlagg",
];

create schema ops;

create table ops.supplier (
    id integer primary key,
    name text not null unique,
    lead_days integer not null
);

create table ops.item (
    id integer primary key,
    supplier_id integer not null references ops.supplier,
    sku text not null unique,
    name text not null,
    unit_price numeric(10, 2) not null,
    reorder_at integer not null
);

create table ops.stock (
    item_id integer not null references ops.item,
    site text not null,
    quantity integer not null check (quantity >= 0),
    counted timestamptz not null,
    primary key (item_id, site)
);

create table ops.purchase (
    id integer primary key,
    item_id integer not null references ops.item,
    quantity integer not null,
    ordered date not null,
    delivered date
);

create table ops.shift (
    id integer primary key,
    site text not null,
    day date not null,
    part text not null check (part in ('early', 'late', 'night')),
    nurses_needed integer not null,
    unique (site, day, part)
);

-- Views as a reporting team keeps them beside the tables. They read protected columns and show some of them.
create view clinic.patient_summary as
select p.id, p.mrn, p.sex, p.dob, p.state, left(p.zip, 3) as zip3, p.died is not null as deceased,
       count(v.id) as visits, max(v.admitted) as last_admitted
from clinic.patient p
left join clinic.visit v on v.patient_id = p.id
group by p.id;

create view clinic.inpatient_stay as
select v.id as visit_id, v.patient_id, d.name as department, v.admitted, v.discharged,
       v.discharged::date - v.admitted::date as nights
from clinic.visit v
join clinic.department d on d.id = v.department_id
where v.kind = 'inpatient';

create view clinic.diabetic as
select distinct v.patient_id
from clinic.diagnosis dx
join clinic.visit v on v.id = dx.visit_id
where dx.icd10 like 'E11%';

create view clinic.latest_lab as
select distinct on (patient_id, loinc) patient_id, loinc, test, value, unit, abnormal, taken
from clinic.lab_result
order by patient_id, loinc, taken desc, id desc;

create view clinic.provider_directory as
select pr.id, pr.first_name || ' ' || pr.last_name as provider, pr.specialty, d.name as department, pr.phone
from clinic.provider pr
join clinic.department d on d.id = pr.department_id;

create table hr.employees (
  id uuid primary key,
  name varchar(255) not null,
  email varchar(255) not null,
  role varchar(64) not null,
  -- Of a year.
  salary_pence integer not null constraint employees_salary_pence_check check (salary_pence >= 0),
  payroll_meta jsonb,
  created_at timestamptz not null default now(),
  version integer not null default 1
);
create unique index idx_employees_email on hr.employees (lower(email));

create table hr.salaries (
  employee_id uuid not null constraint salaries_employee_id_fkey references hr.employees (id),
  effective_date date not null,
  salary_pence integer not null constraint salaries_salary_pence_check check (salary_pence >= 0),
  recorded_at timestamptz not null default now(),
  primary key (employee_id, effective_date)
);

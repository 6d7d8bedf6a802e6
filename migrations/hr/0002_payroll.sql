-- Employments, the payroll group, and payroll runs with their payslips.

alter table hr.employees add column payroll_group varchar(32) not null default 'main'
  constraint employees_payroll_group_check check (payroll_group ~ '^[a-z0-9_-]{1,32}$');
create index employees_payroll_group_idx on hr.employees (payroll_group, id);
create index employees_role_idx on hr.employees (role, id);
comment on column hr.employees.salary_pence is
  'What was in force when the record was written last; what is in force on a day is in hr.salaries.';

create table hr.employments (
  employee_id uuid not null constraint employments_employee_id_fkey references hr.employees (id),
  -- The first one, the second one, ...
  place integer not null constraint employments_place_check check (place between 1 and 100),
  first_day date not null,
  -- Still worked; the day before first_day when she never came.
  last_day date constraint employments_last_day_check check (last_day >= first_day - 1),
  primary key (employee_id, place)
);

create function hr.refuse_overlap() returns trigger language plpgsql as $$
begin
  if exists (
    select from hr.employments o
    where o.employee_id = new.employee_id and o.place <> new.place
      and o.first_day <= coalesce(new.last_day, 'infinity') and new.first_day <= coalesce(o.last_day, 'infinity')
  ) then
    raise exception 'employments of % overlap', new.employee_id using errcode = 'exclusion_violation';
  end if;
  return new;
end $$;
create trigger employments_overlap before insert or update on hr.employments
  for each row execute function hr.refuse_overlap();

-- Until now nobody left, and everybody's first salary was from the first day on.
insert into hr.employments (employee_id, place, first_day)
select e.id, 1, coalesce(min(s.effective_date), e.created_at::date)
from hr.employees e left join hr.salaries s on s.employee_id = e.id
group by e.id;

-- What somebody earns today or, before the first day of the newest employment, on that day.
create function hr.current_salary(employee uuid, today date) returns integer stable language sql as $$
  select s.salary_pence from hr.salaries s
  where s.employee_id = employee
    and s.effective_date <= greatest(today, (select max(m.first_day) from hr.employments m where m.employee_id = employee))
  order by s.effective_date desc limit 1
$$;

create table hr.payroll_runs (
  id uuid primary key,
  -- The first day of the month.
  period date not null constraint payroll_runs_period_check check (extract(day from period) = 1),
  payroll_group varchar(32) not null,
  kind varchar(16) not null
    constraint payroll_runs_kind_check check (kind in ('regular', 'supplementary', 'reversal')),
  status varchar(16) not null
    constraint payroll_runs_status_check check (status in ('draft', 'approved', 'paid', 'discarded', 'reversed')),
  -- Whom a supplementary run was asked for, in their order; none: all.
  employee_ids uuid[] not null default '{}'
    constraint payroll_runs_employee_ids_check check (employee_ids = '{}' or kind <> 'regular'),
  payslip_count integer not null constraint payroll_runs_payslip_count_check check (payslip_count > 0),
  gross_pence bigint not null,
  paye_pence bigint not null,
  employee_ni_pence bigint not null,
  employee_pension_pence bigint not null,
  employer_ni_pence bigint not null,
  employer_pension_pence bigint not null,
  net_pence bigint not null
    generated always as (gross_pence - paye_pence - employee_ni_pence - employee_pension_pence) stored,
  created_at timestamptz not null default now(),
  approved_at timestamptz,
  paid_on date,
  reversed_on date,
  -- Of a mirror: the run that it takes back.
  reverses_run_id uuid constraint payroll_runs_reverses_run_id_fkey references hr.payroll_runs (id),
  -- The events that the books answer to.
  approved_event_id uuid,
  paid_event_id uuid,
  reversed_event_id uuid,
  repaid_event_id uuid,
  -- What the books have answered.
  journal_id uuid,
  payment_journal_id uuid,
  reversal_journal_id uuid,
  repayment_journal_id uuid,
  version integer not null default 1,
  constraint payroll_runs_reverses_run_id_check check ((kind = 'reversal') = (reverses_run_id is not null)),
  constraint payroll_runs_approved_at_check check ((status in ('draft', 'discarded')) = (approved_at is null)),
  constraint payroll_runs_paid_on_check check (paid_on is not null or status <> 'paid'),
  constraint payroll_runs_reversed_on_check check ((status = 'reversed') = (reversed_on is not null)),
  -- A run gives; its mirror takes.
  constraint payroll_runs_amounts_check check (
    case when kind = 'reversal'
      then greatest(gross_pence, paye_pence, employee_ni_pence, employee_pension_pence, employer_ni_pence,
                    employer_pension_pence, net_pence) <= 0
      else least(gross_pence, paye_pence, employee_ni_pence, employee_pension_pence, employer_ni_pence,
                 employer_pension_pence, net_pence) >= 0
    end)
);
create unique index payroll_runs_regular_key on hr.payroll_runs (payroll_group, period)
  where kind = 'regular' and status in ('draft', 'approved', 'paid');
create unique index payroll_runs_supplementary_key on hr.payroll_runs (payroll_group, period)
  where kind = 'supplementary' and status = 'draft';
create unique index payroll_runs_reverses_run_id_key on hr.payroll_runs (reverses_run_id);
create index payroll_runs_period_idx on hr.payroll_runs (period, id);
create index payroll_runs_payroll_group_idx on hr.payroll_runs (payroll_group, id);
create index payroll_runs_status_idx on hr.payroll_runs (status, id);

create table hr.payslips (
  id uuid primary key,
  payroll_run_id uuid not null constraint payslips_payroll_run_id_fkey references hr.payroll_runs (id),
  employee_id uuid not null constraint payslips_employee_id_fkey references hr.employees (id),
  -- How the gross of the whole month comes about: [{"first_day", "last_day", "salary_pence", "gross_pence"}].
  earnings jsonb not null,
  -- What approved and paid runs of the month had paid before, with the keys of the columns below; null when nothing.
  earlier jsonb,
  gross_pence bigint not null,
  paye_pence bigint not null,
  employee_ni_pence bigint not null,
  employee_pension_pence bigint not null,
  employer_ni_pence bigint not null,
  employer_pension_pence bigint not null,
  net_pence bigint not null
    generated always as (gross_pence - paye_pence - employee_ni_pence - employee_pension_pence) stored,
  constraint payslips_payroll_run_id_employee_id_key unique (payroll_run_id, employee_id),
  -- All of one sign.
  constraint payslips_amounts_check check (
    least(gross_pence, paye_pence, employee_ni_pence, employee_pension_pence, employer_ni_pence,
          employer_pension_pence, net_pence) >= 0
    or greatest(gross_pence, paye_pence, employee_ni_pence, employee_pension_pence, employer_ni_pence,
                employer_pension_pence, net_pence) <= 0)
);
create index payslips_payroll_run_id_idx on hr.payslips (payroll_run_id, id);
create index payslips_employee_id_idx on hr.payslips (employee_id, id);

-- Only drafts are written; a mirror is one for the length of its transaction.
create function hr.refuse_change_of_payslip() returns trigger language plpgsql as $$
declare
  run uuid := case when tg_op = 'INSERT' then new.payroll_run_id else old.payroll_run_id end;
begin
  if (select status from hr.payroll_runs where id = run) <> 'draft' then
    raise exception 'payslips of run % are final', run using errcode = 'restrict_violation';
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end $$;
create trigger payslips_final before insert or update or delete on hr.payslips
  for each row execute function hr.refuse_change_of_payslip();

create function hr.check_payroll_run() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    raise exception 'payroll runs are not deleted' using errcode = 'restrict_violation';
  end if;
  if (new.period, new.payroll_group, new.kind, new.employee_ids, new.reverses_run_id)
      is distinct from (old.period, old.payroll_group, old.kind, old.employee_ids, old.reverses_run_id) then
    raise exception 'run % is of another group, month or kind', old.id using errcode = 'restrict_violation';
  end if;
  if old.status <> 'draft'
      and (new.status = 'draft'
        or (new.payslip_count, new.gross_pence, new.paye_pence, new.employee_ni_pence, new.employee_pension_pence,
            new.employer_ni_pence, new.employer_pension_pence)
          <> (old.payslip_count, old.gross_pence, old.paye_pence, old.employee_ni_pence, old.employee_pension_pence,
              old.employer_ni_pence, old.employer_pension_pence)) then
    raise exception 'run % is final', old.id using errcode = 'restrict_violation';
  end if;
  if old.status = 'draft' and new.status <> 'draft' and not exists (
    select from hr.payslips where payroll_run_id = old.id
    having count(*) = new.payslip_count and sum(gross_pence) = new.gross_pence and sum(paye_pence) = new.paye_pence
      and sum(employee_ni_pence) = new.employee_ni_pence and sum(employee_pension_pence) = new.employee_pension_pence
      and sum(employer_ni_pence) = new.employer_ni_pence and sum(employer_pension_pence) = new.employer_pension_pence
  ) then
    raise exception 'run % is not the sum of its payslips', old.id using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger payroll_runs_check before update or delete on hr.payroll_runs
  for each row execute function hr.check_payroll_run();

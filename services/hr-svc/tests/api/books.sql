-- What is off between payroll runs, their payslips, and what the events have told the books.
with told as (
  select event_type, payload->'data' as data from hr.events_log where event_type like 'payroll.%'
), net as (
  select coalesce(sum(case event_type
    when 'payroll.approved' then (data->'net'->>'amount')::numeric
    when 'payroll.paid' then -(data->'net'->>'amount')::numeric
    when 'payroll.reversed' then -(data->'approved'->'net'->>'amount')::numeric
    when 'payroll.repaid' then (data->'net'->>'amount')::numeric
    else 0 end), 0) as owed
  from told
)
select 'account 2220 is what approved runs owe: ' || owed from net
where owed <> (select coalesce(sum(net_pence), 0) / 100.0 from hr.payroll_runs where status = 'approved')
union all
select 'run ' || r.id || ' is the sum of its payslips' from hr.payroll_runs r
where not exists (
  select from hr.payslips p where p.payroll_run_id = r.id
  having count(*) = r.payslip_count and sum(gross_pence) = r.gross_pence and sum(paye_pence) = r.paye_pence
    and sum(employee_ni_pence) = r.employee_ni_pence and sum(employee_pension_pence) = r.employee_pension_pence
    and sum(employer_ni_pence) = r.employer_ni_pence and sum(employer_pension_pence) = r.employer_pension_pence
    and sum(net_pence) = r.net_pence)
union all
select 'run ' || r.id || ' told of money that came back if it was paid' from hr.payroll_runs r
where r.kind <> 'reversal' and (r.status = 'reversed' and r.paid_on is not null) <> (r.repaid_event_id is not null)
union all
select 'payslip ' || p.id || ' is what its days earn, less what was paid before' from hr.payslips p
where p.gross_pence <> (select coalesce(sum((e->>'gross_pence')::bigint), 0) from jsonb_array_elements(p.earnings) e)
                       - coalesce((p.earlier->>'gross_pence')::bigint, 0)
union all
select 'run ' || r.id || ' and its mirror come to nothing'
from hr.payroll_runs r left join hr.payroll_runs m on m.reverses_run_id = r.id
where r.status = 'reversed' and r.kind <> 'reversal' and (
  (r.gross_pence + m.gross_pence = 0 and r.net_pence + m.net_pence = 0 and r.employer_ni_pence + m.employer_ni_pence = 0
   and r.employer_pension_pence + m.employer_pension_pence = 0 and r.payslip_count = m.payslip_count) is not true
  or exists (
    select from hr.payslips p join hr.payslips q on q.employee_id = p.employee_id and q.payroll_run_id = m.id
    where p.payroll_run_id = r.id and p.net_pence + q.net_pence <> 0))
union all
select 'run ' || r.id || ' has the version of its newest event' from hr.payroll_runs r
where r.kind <> 'reversal'
  and r.version <> (select count(*) from hr.events_log e where e.payload->>'subject' = r.id::text)

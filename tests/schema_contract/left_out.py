"""What of the contract is left out until later, with one reason each: `Type`, or `Type.field`; and what differs."""

from collections.abc import Mapping
from typing import Final

LEAVE: Final = "leave requests and their approval come with the workflows"
CORRECTIONS: Final = "correction requests come with the workflows"
APPROVALS: Final = "the inbox and decisions come with the workflows"
PAY_PERIODS: Final = "locking and adjusting pay periods comes with payroll"
AUDIT: Final = "the audit trail comes with payroll"
JOBS: Final = "files in and out come with durable jobs"
CHANGES: Final = "changes without loss need a durable sequence of changes, as the audit trail does"

LEFT_OUT: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "LeaveBalance",
            "LeaveRequest",
            "LeaveInput",
            "LeavePayload",
            "Employee.leaveBalances",
            "AttendanceDay.leave",
            "Mutation.requestLeave",
        ),
        LEAVE,
    ),
    **dict.fromkeys(
        (
            "CorrectionKind",
            "CorrectionRequest",
            "CorrectionInput",
            "CorrectionPayload",
            "AttendanceDay.corrections",
            "Mutation.requestCorrection",
        ),
        CORRECTIONS,
    ),
    **dict.fromkeys(
        (
            "RequestStatus",
            "Approvable",
            "ApprovalStep",
            "ApprovalEdge",
            "ApprovalConnection",
            "DecisionInput",
            "DecisionPayload",
            "Query.approvalInbox",
            "Mutation.decide",
            "Mutation.withdraw",
            "Mutation.approveOvertime",
            "Subscription.inboxChanged",
        ),
        APPROVALS,
    ),
    **dict.fromkeys(
        (
            "PeriodState",
            "PayPeriod",
            "LockBlocker",
            "RetroAdjustment",
            "PeriodStateInput",
            "PeriodPayload",
            "PeriodLocked",
            "Query.payPeriods",
            "Mutation.setPeriodState",
        ),
        PAY_PERIODS,
    ),
    **dict.fromkeys(("AuditEvent", "AuditEdge", "AuditConnection", "AttendanceDay.history", "Query.audit"), AUDIT),
    **dict.fromkeys(
        (
            *("JobState", "Severity", "ImportKind", "ExportKind", "FileFormat", "DuplicatePolicy"),
            *("ImportJob", "ExportJob", "Job", "ColumnMapping", "ImportIssue", "IssueCount", "IssueEdge"),
            *("IssueConnection", "StartImportInput", "ImportPayload", "StartExportInput", "ExportPayload"),
            *("Query.job", "Mutation.startImport", "Mutation.applyImport", "Mutation.undoImport"),
            *("Mutation.cancelJob", "Mutation.startExport", "Subscription.jobProgress"),
        ),
        JOBS,
    ),
    **dict.fromkeys(("ChangeKind", "AttendanceChange", "Subscription.attendanceChanged"), CHANGES),
}

DIFFERS: Final = (
    # what is executed again and again would have cost a tenth of asking once, as Query.today, which has a price, does
    "Subscription.todayChanged: needed directives [], got ['@cost(weight: 10)']",
)

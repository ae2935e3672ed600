"""An interpretation as one HTML page that needs nothing but itself: no network, no torch."""

from learnfleet.trainer.report.page import REPORT_FILE, render_report, write_report

__all__ = ["REPORT_FILE", "render_report", "write_report"]

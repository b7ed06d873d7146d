// pm2 start deploy/pm2/ecosystem.config.cjs; variables come from the environment of that command or from .env.
// PM2 watches one process, the supervisor; the supervisor watches the workers. So: never `instances`, never cluster
// mode, CLUSTER_WORKERS for their number, and `pm2 sendSignal SIGHUP rollcall` for a reload that loses nothing
// (`pm2 reload` stops and starts).
const path = require("path");
const root = path.resolve(__dirname, "../..");

module.exports = {
  apps: [
    {
      name: "rollcall",
      cwd: root,
      script: "server.py",
      interpreter: path.join(root, ".venv/bin/python"),
      exec_mode: "fork",
      instances: 1,
      autorestart: true,
      exp_backoff_restart_delay: 500, // grows to 15 s; a database that is away for an hour is waited for
      kill_timeout: 45000, // DRAIN_TIMEOUT is 20 s
      treekill: false, // the supervisor tells the workers itself
      time: true,
    },
  ],
};

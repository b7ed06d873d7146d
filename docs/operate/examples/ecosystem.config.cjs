// pm2 start docs/operate/examples/ecosystem.config.cjs, from the folder of the checkout.
// PM2 watches one process, the supervisor; the supervisor watches the workers. So: never `instances`, never cluster mode,
// and `pm2 sendSignal SIGHUP rollcall` for a reload that loses nothing (`pm2 reload` would stop and start).
module.exports = {
  apps: [
    {
      name: "rollcall",
      script: "server.py",
      interpreter: ".venv/bin/python",
      exec_mode: "fork",
      instances: 1,
      autorestart: true,
      exp_backoff_restart_delay: 500,
      kill_timeout: 45000, // DRAIN_TIMEOUT is 20 s
      treekill: false, // the supervisor tells the workers itself
    },
  ],
};

// The bundle brings the name SwaggerUIBundle. What is typed or received here is kept nowhere.
SwaggerUIBundle({
  url: '/api/schema/',
  dom_id: '#page',
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: 'list',
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});

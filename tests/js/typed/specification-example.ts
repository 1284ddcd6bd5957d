import { WebSocketReconnectService } from './websocket-reconnect.service';

class ECGMonitorService {
  private reconnectService: WebSocketReconnectService;
  
  constructor() {
    this.reconnectService = new WebSocketReconnectService({
      maxAttempts: 10,
      initialDelay: 1000,
      maxDelay: 30000,
      enableSessionRestore: true
    });
    
    this.setupEventListeners();
  }
  
  async connect(userId: string, role: string, patientId?: number) {
    try {
      const ws = await this.reconnectService.connect(
        'ws://localhost:8000/ws/connect',
        {
          userId,
          role,
          patientId,
          subscriptions: patientId 
            ? [`patient:${patientId}`, 'type:ecg', 'type:alerts']
            : ['type:system', 'type:alerts']
        }
      );
      
      // Subscribe to specific data types
      if (patientId) {
        await this.subscribeToPatient(patientId);
      }
      
      return ws;
    } catch (error) {
      console.error('Failed to connect:', error);
      throw error;
    }
  }
  
  private async subscribeToPatient(patientId: number) {
    const subscriptionMessage = {
      type: 'subscribe',
      subscription_type: 'patient',
      target_id: patientId.toString(),
      filters: {
        data_type: 'ecg',
        severity: ['normal', 'warning', 'critical']
      }
    };
    
    // Queue message for sending
    this.reconnectService.queueMessage(subscriptionMessage);
  }
  
  private setupEventListeners() {
    this.reconnectService.on('connected', (data) => {
      console.log('WebSocket connected:', data);
    });
    
    this.reconnectService.on('disconnected', (data) => {
      console.log('WebSocket disconnected:', data);
    });
    
    this.reconnectService.on('reconnected', (data) => {
      console.log('WebSocket reconnected:', data);
    });
    
    this.reconnectService.on('message', (data) => {
      this.handleIncomingMessage(data.data);
    });
  }
  
  private handleIncomingMessage(message: any) {
    switch (message.type) {
      case 'ecg_data':
        this.displayECGData(message);
        break;
      case 'system_alert':
        this.displayAlert(message);
        break;
      case 'pong':
        // Handle heartbeat response
        break;
      default:
        console.log('Unknown message type:', message.type);
    }
  }
  
  private displayECGData(data: any) {
    // Update ECG visualization
    const ecgChart = document.getElementById('ecg-chart');
    // ... update chart with data.data array
  }
  
  private displayAlert(alert: any) {
    // Display system alert
    const alertContainer = document.getElementById('alerts');
    const alertElement = document.createElement('div');
    alertElement.className = `alert alert-${alert.severity}`;
    alertElement.textContent = alert.message;
    alertContainer.appendChild(alertElement);
  }
  
  getMetrics() {
    return this.reconnectService.getMetrics();
  }
  
  disconnect() {
    this.reconnectService.disconnect();
  }
}
